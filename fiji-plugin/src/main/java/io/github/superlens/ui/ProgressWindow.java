package io.github.superlens.ui;

import java.awt.BorderLayout;
import java.awt.FlowLayout;
import java.awt.GridLayout;

import javax.swing.BorderFactory;
import javax.swing.JButton;
import javax.swing.JFrame;
import javax.swing.JLabel;
import javax.swing.JPanel;
import javax.swing.JProgressBar;
import javax.swing.SwingUtilities;
import javax.swing.Timer;

import ij.IJ;
import io.github.superlens.core.CommandSpec;
import io.github.superlens.engine.Json;
import io.github.superlens.engine.Progress;

/**
 * Shows what is being done, how far it is, the curve of the loss, what the network makes by now, the time left and the device; has a button to stop, and for a training one to
 * stop learning and keep what is learned.
 * <p>
 * It appears when the work takes longer than a moment. All methods may be called from any thread.
 */
final class ProgressWindow implements Progress {

	private static final int PATIENCE_MS = 300;
	private static final int REDRAW_MS = 100;

	private final JFrame frame;
	private final JLabel step = new JLabel("starting ...");
	private final JLabel time = new JLabel(" ");
	private final JLabel device = new JLabel(" ");
	private final JProgressBar bar = new JProgressBar();
	private final LossChart chart = new LossChart();
	private final Preview preview = new Preview();
	private final JButton cancel = new JButton("Cancel");
	private final JButton finish = new JButton("Finish now");
	private final Timer redraw = new Timer(REDRAW_MS, event -> draw());
	private final long began = System.nanoTime();
	private final Object guard = new Object();
	private State latest = new State("starting ...", 0, 0);
	private volatile boolean canceled;
	private volatile boolean finishRequested;
	private volatile boolean closed;

	private ProgressWindow(CommandSpec spec, String image) {
		frame = new JFrame(image.isEmpty() ? spec.label() : spec.label() + " " + image);
		final JPanel words = new JPanel(new GridLayout(0, 1, 0, 4));
		words.add(step);
		words.add(bar);
		words.add(time);
		words.add(device);
		final JPanel buttons = new JPanel(new FlowLayout(FlowLayout.RIGHT));
		if (spec.param("steps") != null) buttons.add(finish);
		buttons.add(cancel);
		final JPanel all = new JPanel(new BorderLayout(8, 8));
		all.setBorder(BorderFactory.createEmptyBorder(12, 12, 6, 12));
		all.add(words, BorderLayout.NORTH);
		if (spec.param("steps") != null) {
			all.add(chart, BorderLayout.CENTER);
			all.add(preview, BorderLayout.EAST);
		}
		all.add(buttons, BorderLayout.SOUTH);
		frame.setContentPane(all);
		frame.setDefaultCloseOperation(JFrame.DO_NOTHING_ON_CLOSE);
		listen();
		frame.pack();
		frame.setSize(Math.max(420, frame.getWidth()), frame.getHeight());
		frame.setLocationByPlatform(true);
	}

	/** Opens a window for a command and the image it works on. */
	static ProgressWindow open(CommandSpec spec, String image) {
		final ProgressWindow[] made = new ProgressWindow[1];
		Swing.now(() -> {
			made[0] = new ProgressWindow(spec, image);
			made[0].redraw.start();
			final Timer appear = new Timer(PATIENCE_MS, event -> made[0].frame.setVisible(!made[0].closed));
			appear.setRepeats(false);
			appear.start();
		});
		return made[0];
	}

	@Override
	public void update(String message, long current, long maximum, String infoJson) {
		synchronized (guard) {
			latest = latest.next(message, current, maximum, infoJson);
			chart.add(latest.loss);
			preview.show(latest.preview);
		}
	}

	@Override
	public boolean isCanceled() {
		return canceled;
	}

	@Override
	public boolean showsPreviews() {
		return true;
	}

	@Override
	public boolean isFinishRequested() {
		return finishRequested;
	}

	/** Takes the window away. */
	void close() {
		closed = true;
		SwingUtilities.invokeLater(() -> {
			redraw.stop();
			frame.dispose();
		});
	}

	private void listen() {
		cancel.addActionListener(event -> cancel());
		finish.addActionListener(event -> {
			finishRequested = true;
			finish.setEnabled(false);
		});
		frame.addWindowListener(new java.awt.event.WindowAdapter() {

			@Override
			public void windowClosing(java.awt.event.WindowEvent event) {
				cancel();
			}
		});
	}

	private void cancel() {
		canceled = true;
		cancel.setEnabled(false);
		finish.setEnabled(false);
	}

	private void draw() {
		final State now;
		synchronized (guard) {
			now = latest;
		}
		step.setText(canceled ? "stopping ..." : finishRequested && now.stage.equals("training") ? "finishing ..." : now.words());
		bar.setIndeterminate(now.maximum <= 0);
		bar.setMaximum((int) Math.max(1, now.maximum));
		bar.setValue((int) now.current);
		final String left = Double.isNaN(now.secondsLeft) ? "" : ", about " + duration(now.secondsLeft) + " left";
		time.setText(duration((System.nanoTime() - began) * 1e-9) + left);
		device.setText(now.device.isEmpty() ? " " : now.device);
		if (now.maximum > 0) IJ.showProgress((double) now.current / now.maximum);
		chart.repaint();
	}

	private static String duration(double seconds) {
		final long whole = Math.round(seconds);
		if (whole < 100) return whole + " s";
		return whole < 6000 ? whole / 60 + " min " + whole % 60 + " s" : whole / 3600 + " h " + whole / 60 % 60 + " min";
	}

	/** What was last heard; what a message does not say stays as it was. */
	private static final class State {

		private final String message;
		private final long current;
		private final long maximum;
		private String stage = "";
		private String device = "";
		private java.util.Map<String, Object> preview = java.util.Collections.emptyMap();
		private double loss = Double.NaN;
		private double secondsLeft = Double.NaN;

		private State(String message, long current, long maximum) {
			this.message = message;
			this.current = current;
			this.maximum = maximum;
		}

		private State next(String newMessage, long newCurrent, long newMaximum, String infoJson) {
			final State next = new State(newMessage == null ? message : newMessage, newCurrent, newMaximum);
			final java.util.Map<String, Object> info = Json.object(infoJson == null || infoJson.isEmpty() ? null : Json.parse(infoJson));
			next.stage = Json.text(info, "stage", stage);
			next.device = Json.text(info, "device", device);
			next.preview = Json.object(info.get("preview"));
			next.loss = Json.number(info, "loss", Double.NaN);
			next.secondsLeft = Json.number(info, "seconds_left", Double.NaN);
			return next;
		}

		private String words() {
			final String what = stage.isEmpty() || message.contains(stage) ? message : stage + ": " + message;
			return maximum > 1 ? what + " (" + current + " of " + maximum + ")" : what;
		}
	}
}
