package io.github.superlens.core;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** The commands by the names that the menu gives them. */
public final class Commands {

	private static final Map<String, Command> ALL = all();

	private Commands() {
		// knows commands
	}

	/** All commands, in the order of the menu. */
	public static Map<String, Command> byName() {
		return ALL;
	}

	private static Map<String, Command> all() {
		final Map<String, Command> commands = new LinkedHashMap<>();
		commands.put("enhance", new Enhance());
		commands.put("train", new Train());
		commands.put("predict", new Predict());
		commands.put("localize", new Localize());
		commands.put("sim", new Sim());
		commands.put("simulate", new Simulate());
		commands.put("psf", new Psf());
		commands.put("stripes", new Stripes());
		commands.put("compare", new Compare());
		commands.put("models", new Models());
		commands.put("setup", new Setup());
		commands.put("help", new Help());
		return Collections.unmodifiableMap(commands);
	}
}
