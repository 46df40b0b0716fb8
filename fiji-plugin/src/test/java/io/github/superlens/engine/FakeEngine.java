package io.github.superlens.engine;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.github.superlens.image.ImagePlusIO;

/**
 * An engine that keeps the protocol and does something simple: its super-resolved image has twice the pixels and each value plus 1000. Refuses
 * requests that break the protocol, so that tests of the callers need not look at every field.
 */
public final class FakeEngine implements Engine {

	/** All requests so far. */
	public final List<Map<String, Object>> requests = Collections.synchronizedList(new ArrayList<>());

	/** What to answer instead of working; null to work. */
	public volatile String answer;

	/** Whether to stay in {@code enhance} until the caller stops or finishes it. */
	public volatile boolean slow;

	private volatile boolean finished;

	/** Puts a new one in the registry; by name, for macros: {@code call("io.github.superlens.engine.FakeEngine.install")}. */
	public static String install() {
		EngineRegistry.set(new FakeEngine());
		return "installed";
	}

	@Override
	public String call(String requestJson, ByteBuffer[] in, ByteBuffer[] out, Progress progress) {
		final Map<String, Object> request = Json.object(Json.parse(requestJson));
		requests.add(request);
		if (!Long.valueOf(1).equals(request.get("schema"))) return failure("user", "schema is " + request.get("schema"));
		final String verb = Json.text(request, "verb", "");
		if (answer != null && !verb.equals("plan")) return answer;
		switch (verb) {
			case "ping":
				return reply(Collections.emptyList(), "info", Json.parse("{\"version\":\"0.1.0\",\"verbs\":[\"enhance\"],\"device\":\"none\"}"));
			case "finish":
				finished = true;
				return reply(Collections.emptyList(), "info", Collections.singletonMap("heard", true));
			case "plan":
				return plan(request);
			case "models":
				return reply(Collections.emptyList(), "table", Json.parse("{\"columns\":[\"name\",\"megabytes\"],\"rows\":[[\"light\",1.4]]}"));
			default:
				return work(request, in, out, progress);
		}
	}

	@Override
	public String describe() {
		return "fake";
	}

	@Override
	public void close() {
		// holds nothing
	}

	/** The last request of a verb. */
	public Map<String, Object> last(String verb) {
		for (int i = requests.size() - 1; i >= 0; i--) if (verb.equals(requests.get(i).get("verb"))) return requests.get(i);
		throw new AssertionError("no request " + verb + " in " + requests);
	}

	private String plan(Map<String, Object> request) {
		if (request.get("of").equals("psf")) return reply(Collections.singletonList(psf()), "info", Collections.emptyMap());
		final List<Object> inputs = Json.array(request.get("inputs"));
		final Object ofFile = Json.parse("{\"name\":\"file\",\"axes\":\"YX\",\"shape\":[5,6]}");
		final Map<String, Object> input = Json.object(inputs.isEmpty() ? ofFile : inputs.get(0));
		if (request.get("of").equals("train")) return reply(Collections.emptyList(), "info", Collections.emptyMap());
		final List<Map<String, Object>> outputs = Arrays.asList(output(input, "sharp", 2, true), output(input, "denoised", 1, false), //
			output(input, "uncertainty", 2, false));
		return reply(outputs, "info", Collections.singletonMap("transfer", "buffers"));
	}

	private static Map<String, Object> psf() {
		final Map<String, Object> psf = new LinkedHashMap<>(Json.object(Json.parse("{\"role\":\"psf\",\"name\":\"psf\",\"axes\":\"YX\",\"shape\":[25,25]," +
			"\"dtype\":\"float32\",\"pixel_nm\":65.0,\"scale\":1,\"block\":0,\"show\":true}")));
		return psf;
	}

	private static Map<String, Object> output(Map<String, Object> input, String role, int scale, boolean show) {
		final Map<String, Object> output = new LinkedHashMap<>(input);
		final List<Object> shape = new ArrayList<>(Json.array(input.get("shape")));
		for (int i = shape.size() - 2; i < shape.size(); i++) shape.set(i, ((Number) shape.get(i)).longValue() * scale);
		output.put("role", role);
		output.put("name", ImagePlusIO.stem(String.valueOf(input.get("name"))) + "-" + (role.equals("sharp") ? "sr" : role));
		output.put("shape", shape);
		output.put("dtype", "float32");
		output.put("scale", scale);
		if (input.get("pixel_nm") != null) output.put("pixel_nm", ((Number) input.get("pixel_nm")).doubleValue() / scale);
		output.put("path", null);
		output.put("block", show ? 0 : 1);
		output.put("show", show);
		return output;
	}

	private String work(Map<String, Object> request, ByteBuffer[] in, ByteBuffer[] out, Progress progress) {
		final List<Object> inputs = Json.array(request.get("inputs"));
		if (inputs.size() != in.length) return failure("user", inputs.size() + " inputs and " + in.length + " blocks");
		progress.update("working", 1, 2, "{\"stage\":\"training\",\"loss\":0.5,\"device\":\"none\",\"seconds_left\":3}");
		final long patience = System.nanoTime() + 10_000_000_000L;
		while (slow && !finished && !progress.isCanceled() && System.nanoTime() < patience) Thread.yield();
		if (progress.isCanceled()) return failure("cancelled", "stopped; nothing was kept.");
		final List<Map<String, Object>> made = new ArrayList<>();
		for (int i = 0; i < out.length; i++) {
			final Map<String, Object> output = new LinkedHashMap<>(Json.object(Json.array(request.get("outputs")).get(i)));
			output.put("block", i);
			if (output.get("role").equals("psf")) spot(out[i]);
			else if (in.length > 0) fill(Json.object(inputs.get(0)), in[0], output, out[i]);
			made.add(output);
		}
		return reply(made, "early", finished);
	}

	/** A round spot in the middle, as a PSF is. */
	private static void spot(ByteBuffer out) {
		final FloatBuffer target = out.duplicate().order(ByteOrder.nativeOrder()).asFloatBuffer();
		for (int i = 0; i < target.limit(); i++) target.put(i, (float) Math.exp(-(Math.pow(i % 25 - 12, 2) + Math.pow(i / 25 - 12, 2)) / 8));
	}

	private static void fill(Map<String, Object> input, ByteBuffer in, Map<String, Object> output, ByteBuffer out) {
		final List<Object> shape = Json.array(output.get("shape"));
		final int width = ((Number) shape.get(shape.size() - 1)).intValue();
		final int height = ((Number) shape.get(shape.size() - 2)).intValue();
		final int scale = (int) Json.number(output, "scale", 1);
		final FloatBuffer target = out.duplicate().order(ByteOrder.nativeOrder()).asFloatBuffer();
		for (int i = 0; i < target.limit(); i++) {
			final int plane = i / (width * height);
			final int y = i / width % height / scale;
			final int x = i % width / scale;
			target.put(i, 1000 + value(in, Json.text(input, "dtype", ""), (plane * (height / scale) + y) * (width / scale) + x));
		}
	}

	private static float value(ByteBuffer block, String dtype, int index) {
		final ByteBuffer in = block.duplicate().order(ByteOrder.nativeOrder());
		switch (dtype) {
			case "uint8":
				return in.get(index) & 0xff;
			case "uint16":
				return in.getShort(2 * index) & 0xffff;
			default:
				return in.getFloat(4 * index);
		}
	}

	private static String reply(List<Map<String, Object>> outputs, String key, Object value) {
		final Map<String, Object> reply = new LinkedHashMap<>();
		reply.put("schema", 1);
		reply.put("ok", true);
		reply.put("outputs", outputs);
		reply.put("text", "fake work");
		reply.put("messages", Collections.singletonList("a message"));
		reply.put(key, value);
		return Json.write(reply);
	}

	/** A reply that tells of a failure. */
	public static String failure(String kind, String message) {
		final Map<String, Object> error = new LinkedHashMap<>();
		error.put("kind", kind);
		error.put("message", message);
		final Map<String, Object> reply = new LinkedHashMap<>();
		reply.put("schema", 1);
		reply.put("ok", false);
		reply.put("error", error);
		return Json.write(reply);
	}
}
