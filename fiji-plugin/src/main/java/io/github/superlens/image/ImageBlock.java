package io.github.superlens.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Json;

/**
 * Pixels outside ImageJ: a direct buffer in native byte order and C order, and the words of the protocol that say what is in it.
 */
public final class ImageBlock {

	/** Largest size of a block in bytes: what one buffer of Java can hold. The property {@code superlens.block.bytes} makes it smaller. */
	private static final long LARGEST = Math.min(Integer.MAX_VALUE, Long.getLong("superlens.block.bytes", Integer.MAX_VALUE));

	private final Map<String, Object> description;
	private final ByteBuffer pixels;

	/**
	 * @param description an input or output as the protocol describes it: name, axes, shape, dtype, sampling
	 * @param pixels the buffer
	 */
	ImageBlock(Map<String, Object> description, ByteBuffer pixels) {
		this.description = Collections.unmodifiableMap(new LinkedHashMap<>(description));
		this.pixels = pixels;
	}

	/**
	 * Makes room for an output.
	 *
	 * @param description the output as a plan gave it
	 * @throws EngineException when it is too large for one buffer, or memory is short
	 */
	public static ImageBlock room(Map<String, Object> description) throws EngineException {
		final ImageBlock empty = new ImageBlock(description, null);
		return new ImageBlock(description, allocate(empty.planes() * (long) empty.size('Y') * empty.size('X') * bytesOf(empty.dtype())));
	}

	/** Whether something is too large for a block. */
	public static boolean tooLarge(double bytes) {
		return bytes > LARGEST;
	}

	/** The same pixels under the description that the engine gave in the end. */
	public ImageBlock described(Map<String, Object> made) {
		return new ImageBlock(made, pixels);
	}

	/** What the protocol says of it. */
	public Map<String, Object> description() {
		return description;
	}

	/** The pixels; shared, not copied. */
	public ByteBuffer pixels() {
		return pixels;
	}

	/** Number of pixels along an axis, one of TCZYX; 1 along an axis that it does not have. */
	public int size(char axis) {
		final int at = Json.text(description, "axes", "YX").indexOf(axis);
		final List<Object> shape = Json.array(description.get("shape"));
		return at < 0 || at >= shape.size() ? 1 : ((Number) shape.get(at)).intValue();
	}

	/** Type of its pixels, like {@code uint16}. */
	public String dtype() {
		return Json.text(description, "dtype", "float32");
	}

	long planes() {
		return (long) size('T') * size('C') * size('Z');
	}

	static int bytesOf(String dtype) {
		switch (dtype) {
			case "uint8":
				return 1;
			case "uint16":
				return 2;
			case "float32":
				return 4;
			default:
				throw new IllegalArgumentException("pixels of type " + dtype + " are not known to ImageJ");
		}
	}

	static ByteBuffer allocate(long bytes) throws EngineException {
		if (tooLarge(bytes)) throw EngineException.user("The image has " + (bytes >> 20) +
			" MB, more than fits between Fiji and Python at once. Give its file as input=[path] with output=[folder], or work on a crop or fewer slices.");
		try {
			return ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
		}
		catch (OutOfMemoryError full) {
			throw new EngineException(EngineException.Kind.USER, "Memory is short: " + (bytes >> 20) +
				" MB more are needed. Close images, raise Fiji's memory in Edit > Options > Memory & Threads..., or work on a crop.", full);
		}
	}
}
