package io.github.superlens.core;

import java.awt.GraphicsEnvironment;
import java.util.List;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import io.github.superlens.engine.Engine;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.EngineProvider;
import io.github.superlens.engine.Progress;

/** For macros and machines without a screen: opens no dialog, tells the log and the status bar, and stops at the Escape key. */
public final class QuietHost implements Host, Progress {

	/** Makes a host and forgets that Escape was pressed before. */
	public QuietHost() {
		IJ.resetEscape();
	}

	@Override
	public Engine engine() throws EngineException {
		return EngineProvider.get(Settings.python());
	}

	@Override
	public ImagePlus image() {
		return WindowManager.getCurrentImage();
	}

	@Override
	public Progress progress() {
		return this;
	}

	@Override
	public void show(ImagePlus image) {
		image.show();
	}

	@Override
	public void show(String title, List<String> columns, List<List<Object>> rows) {
		if (GraphicsEnvironment.isHeadless()) Tables.toResults(columns, rows);
		else Tables.of(columns, rows).show(title);
	}

	@Override
	public void show(String title, String text) {
		log(title + "\n" + text);
	}

	@Override
	public boolean opensOtherPlugins() {
		return !GraphicsEnvironment.isHeadless();
	}

	@Override
	public void log(String line) {
		IJ.log(line);
	}

	@Override
	public void update(String message, long current, long maximum, String infoJson) {
		IJ.showStatus("Superlens: " + message);
		if (maximum > 0) IJ.showProgress((double) current / maximum);
	}

	@Override
	public boolean isCanceled() {
		return IJ.escapePressed();
	}

	@Override
	public boolean isFinishRequested() {
		return false;
	}
}
