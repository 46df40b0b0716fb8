package io.github.superlens.scijava;

import java.lang.reflect.Field;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.scijava.app.StatusService;
import org.scijava.command.ContextCommand;
import org.scijava.log.LogService;
import org.scijava.plugin.Parameter;
import org.scijava.util.ClassUtils;

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
 * What the twins of the menu's commands share: images are handed back, not shown, and an input that is named like a parameter of the command
 * is its value.
 * <p>
 * A failure cancels the command with the sentence as its reason; cancelling the command stops the work.
 */
abstract class TwinCommand extends ContextCommand implements Host, Progress {

	@Parameter(label = "Other options, as in a macro", required = false)
	private String options = "";

	@Parameter(required = false)
	private StatusService status;

	@Parameter(required = false)
	private LogService log;

	private ImagePlus image;
	private ImagePlus made;

	/** Does the work of a command on an image and gives its most important result; null when it was cancelled. */
	final ImagePlus work(String name, ImagePlus input) {
		image = input;
		try {
			final CommandSpec spec = CommandSpec.of(name);
			final Map<String, String> given = typed(spec);
			given.putAll(MacroOptions.parse(options).values());
			Commands.byName().get(name).run(Values.read(spec, MacroOptions.of(given)), this);
			return made;
		}
		catch (EngineException | IllegalArgumentException failed) {
			cancel(failed.getMessage());
			return null;
		}
	}

	/** The inputs that are parameters of the command, as in a macro; an input without a value was not given. */
	private Map<String, String> typed(CommandSpec spec) {
		final Map<String, String> given = new LinkedHashMap<>();
		for (final Field field : ClassUtils.getAnnotatedFields(getClass(), Parameter.class)) {
			final Object value = spec.param(field.getName()) == null ? null : ClassUtils.getValue(field, this);
			if (value != null) given.put(field.getName(), value.toString());
		}
		return given;
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
