package io.github.superlens.ui;

import java.awt.EventQueue;
import java.awt.GraphicsEnvironment;
import java.util.Map;

import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import ij.plugin.PlugIn;
import ij.plugin.frame.Recorder;
import io.github.superlens.core.Command;
import io.github.superlens.core.CommandSpec;
import io.github.superlens.core.Commands;
import io.github.superlens.core.MacroOptions;
import io.github.superlens.core.QuietHost;
import io.github.superlens.core.Values;
import io.github.superlens.engine.EngineException;

/**
 * The items of the menu Plugins &gt; Superlens: the argument names the command.
 * <p>
 * With macro options, or without a screen, nothing but the work is done, and it is done when {@link #run} returns. Otherwise a dialog asks,
 * the recorder writes down the answers, and a window shows the progress.
 */
public final class SuperlensMenu implements PlugIn {

	@Override
	public void run(String name) {
		final Command command = Commands.byName().get(name);
		final CommandSpec spec = CommandSpec.of(name);
		final String options = Macro.getOptions();
		final boolean headless = GraphicsEnvironment.isHeadless();
		if (options != null || headless || IJ.isMacro() && spec.params().isEmpty()) quietly(command, spec, options);
		else if (EventQueue.isDispatchThread()) new Thread(() -> interactively(command, spec, null), "Run$_" + spec.label()).start();
		else interactively(command, spec, WindowManager.getCurrentImage());
	}

	private static void quietly(Command command, CommandSpec spec, String options) {
		try {
			command.run(Values.read(spec, MacroOptions.parse(options)), new QuietHost());
		}
		catch (EngineException failed) {
			Failures.abort(failed);
		}
		catch (IllegalArgumentException unreadable) {
			Failures.abort(EngineException.user(unreadable.getMessage()));
		}
	}

	private static void interactively(Command command, CommandSpec spec, ImagePlus given) {
		final ImagePlus image = given == null ? WindowManager.getCurrentImage() : given;
		final Values values;
		try {
			values = spec.params().isEmpty() ? Values.read(spec, MacroOptions.parse("")) : ParamDialog.ask(spec, image);
			if (values == null) {
				recordNothing();
				return;
			}
			record(values);
		}
		catch (EngineException failed) {
			Failures.show(failed);
			return;
		}
		try (WindowHost host = new WindowHost(spec, image)) {
			command.run(values, host);
		}
		catch (EngineException failed) {
			recordNothing();
			Failures.show(failed);
		}
	}

	/** What was not done is not recorded. */
	private static void recordNothing() {
		if (IJ.recording()) Recorder.setCommand(null);
	}

	/** Writes down the answers; at least one, since a line without any would ask again when it is replayed. */
	private static void record(Values values) {
		if (!IJ.recording()) return;
		final Map<String, String> options = values.options().values();
		options.forEach(Recorder::recordOption);
		if (options.isEmpty()) values.spec().params().stream().filter(param -> !param.standard().isEmpty()).findFirst() //
			.ifPresent(param -> Recorder.recordOption(param.key(), param.standard()));
	}
}
