package io.github.superlens.ui;

import java.awt.Color;
import java.awt.Dimension;
import java.awt.Graphics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.util.Base64;
import java.util.Map;

import javax.swing.BorderFactory;
import javax.swing.JComponent;

import io.github.superlens.engine.Json;

/** What a network makes of a part of the image while it learns. */
final class Preview extends JComponent {

	private static final long serialVersionUID = 1L;
	private static final int SIDE = 140;

	private transient volatile BufferedImage picture;

	Preview() {
		setPreferredSize(new Dimension(SIDE, SIDE));
		setBorder(BorderFactory.createLineBorder(Color.LIGHT_GRAY));
		setToolTipText("What the network makes of a part of the image by now");
	}

	/** Shows the picture of a message; one without a picture leaves the last. Any thread. */
	void show(Map<String, Object> preview) {
		final BufferedImage decoded = decoded(preview);
		if (decoded == null) return;
		picture = decoded;
		repaint();
	}

	/** Whether there is a picture. */
	boolean shown() {
		return picture != null;
	}

	/** Reads {@code width}, {@code height} and {@code grey}; null where they do not fit each other. */
	static BufferedImage decoded(Map<String, Object> preview) {
		final int width = (int) Json.number(preview, "width", 0);
		final int height = (int) Json.number(preview, "height", 0);
		final byte[] grey = Base64.getDecoder().decode(Json.text(preview, "grey", ""));
		if (width <= 0 || height <= 0 || grey.length != width * height) return null;
		final BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_BYTE_GRAY);
		image.getRaster().setDataElements(0, 0, width, height, grey);
		return image;
	}

	@Override
	protected void paintComponent(Graphics graphics) {
		final Graphics2D g = (Graphics2D) graphics.create();
		g.setColor(Color.WHITE);
		g.fillRect(0, 0, getWidth(), getHeight());
		g.setColor(Color.DARK_GRAY);
		final BufferedImage image = picture;
		if (image == null) g.drawString("no preview yet", 8, 8 + g.getFontMetrics().getAscent());
		else draw(g, image);
		g.dispose();
	}

	private void draw(Graphics2D g, BufferedImage image) {
		final double zoom = Math.min((double) getWidth() / image.getWidth(), (double) getHeight() / image.getHeight());
		final int width = (int) (zoom * image.getWidth());
		final int height = (int) (zoom * image.getHeight());
		g.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_NEAREST_NEIGHBOR);
		g.drawImage(image, (getWidth() - width) / 2, (getHeight() - height) / 2, width, height, null);
	}
}
