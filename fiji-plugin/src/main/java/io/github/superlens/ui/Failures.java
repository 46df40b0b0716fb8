package io.github.superlens.ui;

import java.awt.GraphicsEnvironment;

import ij.IJ;
import ij.Macro;
import ij.gui.GenericDialog;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.EngineException.Kind;

/** Tells why there is no result: a sentence, and the details for who asks. */
final class Failures {

	private static final int LINE = 90;

	private Failures() {
		// tells
	}

	/**
	 * Ends the macro that is running, with the sentence: without a screen in the log, else in ImageJ's message about the macro.
	 * <p>
	 * ImageJ ends a macro for sure only through its error message; {@link Macro#abort} alone lets a macro without a screen go on.
	 */
	static void abort(EngineException failed) {
		if (GraphicsEnvironment.isHeadless()) IJ.log("Superlens: " + failed.getMessage());
		if (!failed.details().isEmpty()) IJ.log(failed.details());
		IJ.showProgress(1.0);
		IJ.error("Superlens", failed.getMessage());
		Macro.abort();
	}

	/** Shows the sentence, and what lies behind it on request. */
	static void show(EngineException failed) {
		IJ.showProgress(1.0);
		IJ.showStatus("Superlens: " + failed.getMessage());
		if (failed.kind() == Kind.CANCELLED) return;
		final GenericDialog dialog = new GenericDialog("Superlens");
		dialog.addMessage(folded(failed.getMessage()));
		dialog.hideCancelButton();
		if (!failed.details().isEmpty()) {
			dialog.addHelp("<html><pre>" + escaped(failed.details()) + "</pre></html>");
			dialog.setHelpLabel("Details");
		}
		dialog.showDialog();
	}

	/** The text in lines that fit a dialog. */
	static String folded(String text) {
		final StringBuilder lines = new StringBuilder();
		int used = 0;
		for (final String word : text.split(" ")) {
			if (used + word.length() > LINE) {
				lines.append('\n');
				used = 0;
			}
			else if (used > 0) lines.append(' ');
			lines.append(word);
			used += word.length() + 1;
		}
		return lines.toString();
	}

	private static String escaped(String text) {
		return text.replace("&", "&amp;").replace("<", "&lt;");
	}
}
