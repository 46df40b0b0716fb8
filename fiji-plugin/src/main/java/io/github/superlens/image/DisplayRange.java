package io.github.superlens.image;

import java.util.Arrays;

import ij.process.ImageProcessor;

/** Which values a new window shows from black to white. */
final class DisplayRange {

	private static final double SATURATED = 0.0005;

	private DisplayRange() {
		// looks at pixels
	}

	/** Smallest and largest value without the few most extreme ones; NaN and infinities do not count. */
	static double[] of(ImageProcessor plane) {
		final double[] values = new double[plane.getPixelCount()];
		int count = 0;
		for (int i = 0; i < values.length; i++) {
			final double value = plane.getf(i);
			if (!Double.isNaN(value) && !Double.isInfinite(value)) values[count++] = value;
		}
		if (count == 0) return new double[] { 0, 1 };
		Arrays.sort(values, 0, count);
		final int cut = (int) (SATURATED * count);
		final double low = values[cut];
		final double high = values[count - 1 - cut];
		return new double[] { low, high > low ? high : low + 1 };
	}
}
