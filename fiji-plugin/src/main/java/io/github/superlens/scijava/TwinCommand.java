package io.github.superlens.scijava;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.scijava.app.StatusService;
import org.scijava.command.ContextCommand;
import org.scijava.log.LogService;
import org.scijava.plugin.Parameter;

import ij.ImagePlus;
import io.github.superlens.core.CommandSpec;
import io.github.superlens.core.Commands;
import io.github.superlens.core.Host;
import io.github.superlens.core.MacroOptions;
import io.github.superlens.core.Settings;
import io.github.superlens.core.Values;
import io.github.superlens.engine.Engine;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.EngineProvider;
import io.github.superlens.engine.Progress;

/**
 * What the twins of the menu's commands share: typed inputs become the same values as in a macro, and images are handed back, not shown.
 * <p>
 * A failure cancels the command with the sentence as its reason; cancelling the command stops the work.
 */
abstract class TwinCommand extends ContextCommand implements Host, Progress {

	private final Map<String, String> given = new LinkedHashMap<>();

	@Parameter(required = false)
	private StatusService status;

	@Parameter(required = false)
	private LogService log;

	private ImagePlus image;
	private ImagePlus made;

	/** Takes an input that was given; null was not. */
	final void give(String key, Object value) {
		if (value != null) given.put(key, value.toString());
	}

	/** Does the work of a command on an image and gives its most important result; null when it was cancelled. */
	final ImagePlus work(String name, ImagePlus input, String options) {
		image = input;
		try {
			given.putAll(MacroOptions.parse(options).values());
			Commands.byName().get(name).run(Values.read(CommandSpec.of(name), MacroOptions.of(given)), this);
			return made;
		}
		catch (EngineException | IllegalArgumentException failed) {
			cancel(failed.getMessage());
			return null;
		}
	}

	@Override
	public final Engine engine() throws EngineException {
		return EngineProvider.get(Settings.python());
	}

	@Override
	public final ImagePlus image() {
		return image;
	}

	@Override
	public final Progress progress() {
		return this;
	}

	@Override
	public final void show(ImagePlus result) {
		made = result;
	}

	@Override
	public final void show(String title, List<String> columns, List<List<Object>> rows) {
		rows.forEach(row -> log(title + ": " + columns + " " + row));
	}

	@Override
	public final void show(String title, String text) {
		log(title + ": " + text);
	}

	@Override
	public final void log(String line) {
		if (log != null) log.info(line);
	}

	@Override
	public final void update(String message, long current, long maximum, String infoJson) {
		if (status != null) status.showStatus((int) current, (int) Math.max(1, maximum), message);
	}

	@Override
	public final boolean isFinishRequested() {
		return false;
	}
}
