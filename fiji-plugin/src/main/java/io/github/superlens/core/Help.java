package io.github.superlens.core;

import java.util.stream.Collectors;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Version;

/** Says what each menu item does and which parameters it takes in a macro. */
public final class Help implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		host.show("Superlens " + Version.OF_PLUGIN, Commands.byName().keySet().stream().map(CommandSpec::of).filter(spec -> !spec.help().isEmpty()) //
			.map(Help::text).collect(Collectors.joining("\n\n")));
	}

	private static String text(CommandSpec spec) {
		return spec.label() + "\n" + spec.help() + spec.params().stream().map(Help::line).collect(Collectors.joining());
	}

	private static String line(ParamSpec param) {
		final String choices = param.choices().isEmpty() ? "" : " (" + String.join(", ", param.choices()) + ")";
		return "\n    " + param.key() + (param.required() ? " (needed)" : "") + ": " + param.help() + choices;
	}
}
