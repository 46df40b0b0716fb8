package io.github.superlens.core;

import java.util.List;

import ij.ImagePlus;
import io.github.superlens.engine.Engine;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Progress;

/** What a command needs from where it runs: windows for a person, or nothing but the log for a macro and a machine without a screen. */
public interface Host {

	/**
	 * The engine to work with.
	 *
	 * @throws EngineException when there is none
	 */
	Engine engine() throws EngineException;

	/** The image that the user works on; null when none is open. */
	ImagePlus image();

	/** Who hears how far the work is. */
	Progress progress();

	/** Shows a result, which becomes the current image. */
	void show(ImagePlus image);

	/**
	 * Shows numbers.
	 *
	 * @param title what they are
	 * @param columns a name for each column
	 * @param rows a number, text or null for each column
	 */
	void show(String title, List<String> columns, List<List<Object>> rows);

	/** Shows lines of text that answer what the user asked. */
	void show(String title, String text);

	/** Whether results may go on to other plugins, which open windows of their own. */
	default boolean opensOtherPlugins() {
		return false;
	}

	/** Notes a line that the user should be able to find later. */
	void log(String line);
}
