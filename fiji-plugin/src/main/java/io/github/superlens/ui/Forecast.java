package io.github.superlens.ui;

import java.awt.Color;
import java.awt.Dimension;
import java.awt.Image;
import java.awt.Window;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;

import javax.swing.BorderFactory;
import javax.swing.ImageIcon;
import javax.swing.JLabel;
import javax.swing.SwingConstants;
import javax.swing.SwingUtilities;
import javax.swing.Timer;

import ij.ImagePlus;
import io.github.superlens.core.CommandSpec;
import io.github.superlens.core.MacroOptions;
import io.github.superlens.core.Outlook;
import io.github.superlens.core.Values;
import io.github.superlens.engine.EngineException;

/**
 * While a dialog is open, says below it what the run will make and cost, and shows the PSF of the optics typed so far. The engine is asked
 * on a thread of its own, a moment after the last change, so that typing stays quick.
 */
final class Forecast implements AutoCloseable {

	private static final int QUIET_MS = 500;
	private static final int SIDE = 128;
	private static final String NO_OPTICS = "<html><center>shown once NA and<br>wavelength are given</center></html>";
	private static final Color REFUSED = new Color(0xa02020);

	private final CommandSpec spec;
	private final ImagePlus image;
	private final Supplier<MacroOptions> options;
	private final JLabel verdict;
	private final JLabel picture = new JLabel(NO_OPTICS, SwingConstants.CENTER);
	private final Timer timer = new Timer(QUIET_MS, event -> start());
	private final ExecutorService thread = Executors.newSingleThreadExecutor(code -> {
		final Thread made = new Thread(code, "superlens forecast");
		made.setDaemon(true);
		return made;
	});
	private Future<?> running;
	private int width;
	private volatile boolean closed;

	/**
	 * @param spec the command
	 * @param image what it works on; may be null
	 * @param options gives what is typed now
	 * @param verdict where words go
	 */
	Forecast(CommandSpec spec, ImagePlus image, Supplier<MacroOptions> options, JLabel verdict) {
		this.spec = spec;
		this.image = image;
		this.options = options;
		this.verdict = verdict;
		timer.setRepeats(false);
		picture.setPreferredSize(new Dimension(SIDE + 24, SIDE + 40));
		picture.setVerticalTextPosition(SwingConstants.BOTTOM);
		picture.setHorizontalTextPosition(SwingConstants.CENTER);
		picture.setBorder(BorderFactory.createTitledBorder("PSF"));
	}

	/** Where the PSF is shown. */
	JLabel picture() {
		return picture;
	}

	/** Lets words be this many pixels wide. */
	void width(int pixels) {
		width = pixels;
	}

	/** Asks anew, a moment after the last call. */
	void ask() {
		timer.restart();
	}

	/** Says at once what is wrong with the values. */
	void refuse(String sentence) {
		verdict.setForeground(REFUSED);
		verdict.setText(html(sentence, width));
	}

	@Override
	public void close() {
		closed = true;
		timer.stop();
		thread.shutdownNow();
	}

	private void start() {
		if (closed) return;
		if (running != null) running.cancel(true);
		final MacroOptions typed = options.get();
		running = thread.submit(() -> {
			tell(typed);
			show(typed);
		});
	}

	private void tell(MacroOptions typed) {
		final String words = words(typed);
		SwingUtilities.invokeLater(() -> {
			if (closed) return;
			verdict.setForeground(Color.DARK_GRAY);
			verdict.setText(html(words, width));
			final Window window = SwingUtilities.getWindowAncestor(verdict);
			if (window != null) window.pack();
		});
	}

	/** What the run will make, or what is still missing. */
	private String words(MacroOptions typed) {
		try {
			return Outlook.words(Values.read(spec, typed), image);
		}
		catch (EngineException missing) {
			return missing.getMessage();
		}
	}

	private void show(MacroOptions typed) {
		if (spec.param("na") == null || closed) return;
		final Outlook.Spot spot = Outlook.psf(typed, image);
		SwingUtilities.invokeLater(() -> {
			picture.setIcon(spot == null ? null : new ImageIcon(spot.image().getScaledInstance(SIDE, SIDE, Image.SCALE_FAST)));
			picture.setText(spot == null ? NO_OPTICS : spot.words());
		});
	}

	/** A text for a label that is broken into lines of a width; Swing takes a point for a pixel. */
	static String html(String sentence, int pixels) {
		return "<html><body style='width: " + pixels + "pt'>" + sentence.replace("&", "&amp;").replace("<", "&lt;") + "</body></html>";
	}
}
