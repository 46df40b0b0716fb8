package io.github.superlens.image;

import java.awt.Rectangle;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import ij.ImagePlus;
import ij.ImageStack;
import ij.measure.Calibration;
import ij.process.ByteProcessor;
import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import ij.process.ShortProcessor;
import io.github.superlens.engine.EngineException;

/**
 * ImageJ's images to blocks of pixels and back, one plane at a time.
 * <p>
 * Blocks have the axes TCZYX; ImageJ's order of planes is channel, slice, frame. The raw values are carried: a density calibration is not
 * applied. The image is only read.
 */
public final class ImagePlusIO {

	private ImagePlusIO() {
		// converts
	}

	/**
	 * Refuses what cannot be worked on.
	 *
	 * @throws EngineException when there is no image, it is empty, or it has colours instead of values
	 */
	public static void check(ImagePlus imp) throws EngineException {
		if (imp == null) throw EngineException.user("No image is open. Open one, or give a file as input=[path].");
		if (imp.getWidth() == 0 || imp.getHeight() == 0 || imp.getStackSize() == 0 || imp.getProcessor() == null) throw EngineException.user("The image \"" +
			imp.getTitle() + "\" is empty.");
		if (imp.getType() == ImagePlus.COLOR_RGB || imp.getType() == ImagePlus.COLOR_256) throw EngineException.user("The image \"" + imp.getTitle() +
			"\" has colours, not intensities. Open the original, or convert it with Image > Type > 16-bit or Image > Color > Split Channels.");
		final Calibration calibration = imp.getCalibration();
		if (Math.abs(calibration.pixelWidth - calibration.pixelHeight) > 0.01 * calibration.pixelWidth) throw EngineException.user("The image \"" +
			imp.getTitle() + "\" has pixels of " + calibration.pixelWidth + " x " + calibration.pixelHeight +
			"; expected square ones. Correct it with Image > Properties..., or scale the image.");
	}

	/**
	 * Copies the selected part of an image.
	 *
	 * @param imp an 8-, 16- or 32-bit image, checked
	 * @param part what to copy
	 * @throws EngineException when it is too large for one buffer
	 */
	public static ImageBlock block(ImagePlus imp, Selection part) throws EngineException {
		final Map<String, Object> description = describe(imp, part);
		final ByteBuffer buffer = ImageBlock.allocate(part.pixels() * imp.getBytesPerPixel());
		final ImageStack stack = imp.getStack();
		for (int t = part.frames.first; t <= part.frames.last; t++) {
			for (int c = part.channels.first; c <= part.channels.last; c++) {
				for (int z = part.slices.first; z <= part.slices.last; z++) {
					put(stack.getProcessor(imp.getStackIndex(c, z, t)), part.bounds, buffer);
				}
			}
		}
		buffer.rewind();
		return new ImageBlock(description, buffer);
	}

	/** Says what {@link #block} would copy, in the words of the protocol, without touching a pixel. */
	public static Map<String, Object> describe(ImagePlus imp, Selection part) {
		final StringBuilder axes = new StringBuilder();
		final List<Object> shape = new ArrayList<>();
		final int[] sizes = { part.frames.count(), part.channels.count(), part.slices.count(), part.bounds.height, part.bounds.width };
		for (int i = 0; i < sizes.length; i++) {
			if (i < 3 && sizes[i] == 1) continue;
			axes.append("TCZYX".charAt(i));
			shape.add(sizes[i]);
		}
		final Calibration calibration = imp.getCalibration();
		final Map<String, Object> description = new LinkedHashMap<>();
		description.put("name", stem(imp.getTitle()));
		description.put("axes", axes.toString());
		description.put("shape", shape);
		description.put("dtype", dtype(imp));
		description.put("pixel_nm", Units.nanometres(calibration.pixelWidth, calibration.getXUnit()));
		final boolean deep = imp.getNSlices() > 1;
		description.put("z_step_nm", !deep ? null : Units.nanometres(calibration.pixelDepth, calibration.getZUnit()));
		description.put("frame_interval_s", Units.seconds(calibration.frameInterval, calibration.getTimeUnit()));
		return description;
	}

	/** Title without the ending of a file name. */
	public static String stem(String title) {
		return title.replaceFirst("(?i)\\.(ome\\.)?(tiff?|png|jpe?g|bmp|gif|mrc|dv|nd2|czi|lif|zip)$", "");
	}

	/** The planes of a block, in ImageJ's order; copied. */
	public static ImageStack stack(ImageBlock block) {
		final int width = block.size('X');
		final int height = block.size('Y');
		final ImageStack stack = new ImageStack(width, height);
		final int channels = block.size('C');
		final int slices = block.size('Z');
		for (int t = 0; t < block.size('T'); t++) {
			for (int z = 0; z < slices; z++) {
				for (int c = 0; c < channels; c++) {
					stack.addSlice(null, plane(block, (t * channels + c) * slices + z, width, height));
				}
			}
		}
		return stack;
	}

	private static String dtype(ImagePlus imp) {
		return imp.getBitDepth() == 8 ? "uint8" : imp.getBitDepth() == 16 ? "uint16" : "float32";
	}

	private static void put(ImageProcessor plane, Rectangle bounds, ByteBuffer buffer) {
		for (int y = bounds.y; y < bounds.y + bounds.height; y++) {
			final int start = y * plane.getWidth() + bounds.x;
			final Object pixels = plane.getPixels();
			if (pixels instanceof byte[]) buffer.put((byte[]) pixels, start, bounds.width);
			else if (pixels instanceof short[]) buffer.asShortBuffer().put((short[]) pixels, start, bounds.width);
			else buffer.asFloatBuffer().put((float[]) pixels, start, bounds.width);
			if (!(pixels instanceof byte[])) buffer.position(buffer.position() + bounds.width * (pixels instanceof short[] ? 2 : 4));
		}
	}

	private static ImageProcessor plane(ImageBlock block, int index, int width, int height) {
		final int size = width * height;
		final ByteBuffer buffer = block.pixels().duplicate().order(block.pixels().order());
		buffer.position(index * size * ImageBlock.bytesOf(block.dtype()));
		switch (block.dtype()) {
			case "uint8":
				final byte[] bytes = new byte[size];
				buffer.get(bytes);
				return new ByteProcessor(width, height, bytes);
			case "uint16":
				final short[] shorts = new short[size];
				buffer.asShortBuffer().get(shorts);
				return new ShortProcessor(width, height, shorts, null);
			default:
				final float[] floats = new float[size];
				buffer.asFloatBuffer().get(floats);
				return new FloatProcessor(width, height, floats);
		}
	}
}
