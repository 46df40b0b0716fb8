package io.github.superlens.ui;

import java.util.List;

import ij.IJ;
import ij.ImagePlus;
import ij.text.TextWindow;
import io.github.superlens.core.CommandSpec;
import io.github.superlens.core.Host;
import io.github.superlens.core.Settings;
import io.github.superlens.core.Tables;
import io.github.superlens.engine.Engine;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.EngineProvider;
import io.github.superlens.engine.Progress;

/** For a person at the screen: a window with the progress while a command runs, then windows with what came of it. Closing it closes the progress. */
final class WindowHost implements Host, AutoCloseable {

	private final ImagePlus image;
	private final ProgressWindow progress;

	/**
	 * @param spec the command
	 * @param image what it works on; may be null
	 */
	WindowHost(CommandSpec spec, ImagePlus image) {
		this.image = image;
		this.progress = ProgressWindow.open(spec, image == null ? "" : image.getTitle());
	}

	@Override
	public Engine engine() throws EngineException {
		return EngineProvider.get(Settings.python());
	}

	@Override
	public ImagePlus image() {
		return image;
	}

	@Override
	public Progress progress() {
		return progress;
	}

	@Override
	public void show(ImagePlus result) {
		result.show();
	}

	@Override
	public void show(String title, List<String> columns, List<List<Object>> rows) {
		Tables.of(columns, rows).show(title);
	}

	@Override
	public void show(String title, String text) {
		progress.close();
		new TextWindow(title, text, 760, 480);
	}

	@Override
	public boolean opensOtherPlugins() {
		return true;
	}

	@Override
	public void log(String line) {
		IJ.log(line);
	}

	@Override
	public void close() {
		progress.close();
		IJ.showProgress(1.0);
	}
}
