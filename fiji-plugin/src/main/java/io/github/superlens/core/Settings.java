package io.github.superlens.core;

import java.io.File;

import ij.Prefs;

/** What the plugin remembers from one start of Fiji to the next, in ImageJ's preferences. */
public final class Settings {

	private static final String PREFIX = "superlens.";
	private static final String PYTHON = PREFIX + "python";

	private Settings() {
		// remembers
	}

	/** The Python that was chosen in the setup; null when none was. */
	public static File python() {
		final String path = Prefs.get(PYTHON, "");
		return path.isEmpty() ? null : new File(path);
	}

	/** Remembers a Python at once; null forgets it. */
	static void setPython(File python) {
		Prefs.set(PYTHON, python == null ? "" : python.getAbsolutePath());
		Prefs.savePreferences();
	}

	/** What was last typed for a parameter; empty when nothing was. */
	public static String last(CommandSpec command, ParamSpec param) {
		return Prefs.get(PREFIX + command.name() + "." + param.key(), "");
	}

	/** Remembers what was typed for a parameter. */
	public static void setLast(CommandSpec command, ParamSpec param, String value) {
		Prefs.set(PREFIX + command.name() + "." + param.key(), value);
	}
}
