package io.github.superlens.core;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

import ij.ImagePlus;
import io.github.superlens.engine.Engine;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Json;
import io.github.superlens.engine.Reply;
import io.github.superlens.engine.Version;
import io.github.superlens.image.ImageBlock;
import io.github.superlens.image.ImagePlusIO;
import io.github.superlens.image.Look;
import io.github.superlens.image.ResultFactory;
import io.github.superlens.image.Selection;

/**
 * One piece of work for the engine: collects the images, asks for a plan, makes room, has it done, and shows what came of it.
 * <p>
 * Pixels are copied when an image is added, under its lock; after that the image may be changed or closed.
 */
final class Job {

	private final Values values;
	private final Host host;
	private final List<ImageBlock> inputs = new ArrayList<>();
	private final Map<String, Object> parameters;
	private Look look;
	private LargeImages large;
	private boolean throughFiles;
	private String passed;

	Job(Values values, Host host) {
		this.values = values;
		this.host = host;
		parameters = new LinkedHashMap<>(values.forEngine());
	}

	/** Adds the image that the user works on, unless a file is named instead. */
	Job withCurrentImage() throws EngineException {
		if (values.has("input")) return this;
		final ImagePlus imp = host.image();
		ImagePlusIO.check(imp);
		return with(imp, Selection.of(imp, values.text("channels"), values.text("slices"), values.text("frames")));
	}

	/** Adds part of an image; results take their looks from the first. */
	Job with(ImagePlus imp, Selection part) throws EngineException {
		if (!imp.lock()) throw EngineException.user("The image \"" + imp.getTitle() + "\" is in use by another command. Wait for it, or run Plugins > Utilities > Reset...");
		try {
			if (look == null) look = new Look(imp, part);
			if (ImageBlock.tooLarge(part.pixels() * (double) imp.getBytesPerPixel())) throughFile(imp, part);
			else inputs.add(ImagePlusIO.block(imp, part));
		}
		finally {
			imp.unlock();
		}
		return this;
	}

	/** Asks for a file that the user did not ask for and need not hear of. */
	Job passing(String key, File file) {
		parameters.put(key, file.toString());
		passed = file.toString();
		return this;
	}

	/** Has it done and shows the images that are wanted; the most important one last, so that it is the current one. */
	Reply run() throws EngineException {
		try {
			return done();
		}
		finally {
			if (large != null) large.close();
		}
	}

	private Reply done() throws EngineException {
		final Reply plan = call(request("plan", values.spec().name(), null), new ArrayList<>(), pixelsToPlan());
		final List<ImageBlock> rooms = new ArrayList<>();
		for (final Map<String, Object> output : plan.outputs()) {
			if (!wanted(output)) continue;
			if (ImageBlock.tooLarge(Json.number(output, "bytes", 0))) writeOutputs();
			else rooms.add(ImageBlock.room(output));
		}
		if (throughFiles) rooms.clear();
		final Reply reply = call(request(values.spec().name(), null, rooms), rooms, inputs);
		final String info = info(reply);
		reply.messages().forEach(message -> host.log("Superlens: " + message));
		if (!throughFiles) reply.files().stream().filter(file -> !file.equals(passed)).forEach(file -> host.log("Superlens wrote " + file));
		for (int i = reply.outputs().size() - 1; i >= 0; i--) show(reply.outputs().get(i), rooms, info);
		return reply;
	}

	private void show(Map<String, Object> output, List<ImageBlock> rooms, String info) throws EngineException {
		if (throughFiles && output.get("path") != null) {
			if (asked(output)) host.show(large.open(output, look, info));
			return;
		}
		final ImageBlock made = filled(output, rooms);
		if (made != null) host.show(ResultFactory.image(made, look, info));
	}

	private void throughFile(ImagePlus imp, Selection part) throws EngineException {
		if (large == null) large = new LargeImages();
		parameters.put("input", large.write(imp, part).toString());
	}

	private void writeOutputs() throws EngineException {
		if (large == null) large = new LargeImages();
		parameters.putIfAbsent("output", large.output().toString());
		throughFiles = true;
	}

	/** Asks what the run would make and cost, from the description of an image alone; null when files are named. */
	Reply plan(Map<String, Object> input) throws EngineException {
		final Map<String, Object> request = request("plan", values.spec().name(), null);
		if (input != null) request.put("inputs", Collections.singletonList(input));
		return call(request, new ArrayList<>(), new ArrayList<>());
	}

	/** Asks something of the engine that needs no images. */
	static Reply ask(String verb, Map<String, Object> parameters, Host host) throws EngineException {
		final Map<String, Object> request = new LinkedHashMap<>();
		request.put("schema", Version.SCHEMA);
		request.put("verb", verb);
		request.put("parameters", parameters);
		return Reply.read(host.engine().call(Json.write(request), new ByteBuffer[0], new ByteBuffer[0], host.progress()));
	}

	private Map<String, Object> request(String verb, String of, List<ImageBlock> rooms) {
		final Map<String, Object> request = new LinkedHashMap<>();
		request.put("schema", Version.SCHEMA);
		request.put("verb", verb);
		if (of != null) request.put("of", of);
		request.put("preview", host.progress().showsPreviews());
		request.put("run", UUID.randomUUID().toString());
		request.put("parameters", parameters);
		request.put("inputs", descriptions(inputs));
		if (rooms != null) request.put("outputs", descriptions(rooms));
		return request;
	}

	private Reply call(Map<String, Object> request, List<ImageBlock> rooms, List<ImageBlock> sent) throws EngineException {
		final Engine engine = host.engine();
		if (request.containsKey("of")) return Reply.read(engine.call(Json.write(request), buffers(sent), new ByteBuffer[0], host.progress()));
		try (FinishWatch watch = new FinishWatch(engine, request.get("run").toString(), host.progress())) {
			return Reply.read(engine.call(Json.write(request), buffers(sent), buffers(rooms), host.progress()));
		}
	}

	/** The size of a PSF that is measured depends on the beads; everything else is planned from descriptions alone. */
	private List<ImageBlock> pixelsToPlan() {
		return values.flag("measure") ? inputs : new ArrayList<>();
	}

	private boolean wanted(Map<String, Object> output) {
		final boolean filesAlone = values.has("input") && values.has("output");
		return !filesAlone && asked(output);
	}

	private boolean asked(Map<String, Object> output) {
		return Boolean.TRUE.equals(output.get("show")) || values.flag("show_" + output.get("role"));
	}

	private static ImageBlock filled(Map<String, Object> output, List<ImageBlock> rooms) {
		if (output.get("block") == null) return null;
		final int index = ((Number) output.get("block")).intValue();
		return index < rooms.size() ? rooms.get(index).described(output) : null;
	}

	private String info(Reply reply) {
		final List<String> lines = new ArrayList<>();
		lines.add(reply.text());
		lines.addAll(reply.messages());
		if (look != null) lines.add("made from " + look.name());
		lines.add("run(\"" + values.spec().label() + "\", \"" + values.options().format() + "\");");
		return String.join("\n", lines);
	}

	private static List<Map<String, Object>> descriptions(List<ImageBlock> blocks) {
		final List<Map<String, Object>> descriptions = new ArrayList<>();
		for (final ImageBlock block : blocks) descriptions.add(block.description());
		return descriptions;
	}

	private static ByteBuffer[] buffers(List<ImageBlock> blocks) {
		return blocks.stream().map(ImageBlock::pixels).toArray(ByteBuffer[]::new);
	}
}
