package io.github.superlens.ui;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Dimension;
import java.awt.Graphics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.Path2D;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

import javax.swing.BorderFactory;
import javax.swing.JComponent;

/** The curve of the loss while a network learns. */
final class LossChart extends JComponent {

	private static final long serialVersionUID = 1L;
	private static final int MARGIN = 8;
	private static final Color LINE = new Color(0x1f6fb4);

	private final transient List<Double> losses = Collections.synchronizedList(new ArrayList<>());

	LossChart() {
		setPreferredSize(new Dimension(400, 140));
		setBorder(BorderFactory.createLineBorder(Color.LIGHT_GRAY));
	}

	/** Takes in one more value; NaN is no value. */
	void add(double loss) {
		if (!Double.isNaN(loss) && !Double.isInfinite(loss)) losses.add(loss);
	}

	/** Number of values so far. */
	int points() {
		return losses.size();
	}

	@Override
	protected void paintComponent(Graphics graphics) {
		final List<Double> shown = new ArrayList<>(losses);
		final Graphics2D g = (Graphics2D) graphics.create();
		g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
		g.setColor(Color.WHITE);
		g.fillRect(0, 0, getWidth(), getHeight());
		g.setColor(Color.DARK_GRAY);
		final int top = MARGIN + g.getFontMetrics().getAscent();
		g.drawString(shown.isEmpty() ? "loss: not known yet" : String.format("loss %.4g", shown.get(shown.size() - 1)), MARGIN, top);
		if (shown.size() > 1) draw(g, shown, top + MARGIN);
		g.dispose();
	}

	private void draw(Graphics2D g, List<Double> shown, int top) {
		final double low = Collections.min(shown);
		final double high = Math.max(Collections.max(shown), low + 1e-12);
		final Path2D curve = new Path2D.Double();
		for (int i = 0; i < shown.size(); i++) {
			final double x = MARGIN + (getWidth() - 2.0 * MARGIN) * i / (shown.size() - 1);
			final double y = top + (getHeight() - top - MARGIN) * (high - shown.get(i)) / (high - low);
			if (i == 0) curve.moveTo(x, y);
			else curve.lineTo(x, y);
		}
		g.setColor(LINE);
		g.setStroke(new BasicStroke(1.5f));
		g.draw(curve);
	}
}
