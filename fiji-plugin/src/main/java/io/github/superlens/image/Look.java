package io.github.superlens.image;

import ij.CompositeImage;
import ij.ImagePlus;
import ij.measure.Calibration;
import ij.process.LUT;

/**
 * What a result takes over from the image it was made from, kept apart from it, so that the image may be closed while the work goes on. Immutable.
 */
public final class Look {

	final String stem;
	final Selection part;
	private final Calibration calibration;
	private final LUT[] colours;
	private final int mode;
	private final String[] labels;

	/**
	 * @param imp the image
	 * @param part what of it is worked on
	 */
	public Look(ImagePlus imp, Selection part) {
		stem = ImagePlusIO.stem(imp.getTitle());
		this.part = part;
		calibration = imp.getCalibration().copy();
		mode = imp instanceof CompositeImage ? ((CompositeImage) imp).getMode() : CompositeImage.GRAYSCALE;
		colours = new LUT[part.channels.count()];
		final LUT[] all = imp.getLuts();
		for (int i = 0; i < colours.length && all.length > 0; i++) colours[i] = (LUT) all[Math.min(part.channels.first - 1 + i, all.length - 1)].clone();
		labels = imp.getStackSize() == 1 ? new String[0] : labels(imp, part);
	}

	/** Title of the image, without the ending of a file name. */
	public String name() {
		return stem;
	}

	Calibration calibration() {
		return calibration.copy();
	}

	/** Colours of a channel of the selected part, counted from 0; null when it has none. */
	LUT colours(int channel) {
		return channel < colours.length && colours[channel] != null ? (LUT) colours[channel].clone() : null;
	}

	int mode() {
		return mode;
	}

	/** Label of a plane of the selected part, in ImageJ's order, counted from 0; null when it has none. */
	String label(int plane) {
		return plane < labels.length ? labels[plane] : null;
	}

	private static String[] labels(ImagePlus imp, Selection part) {
		final int channels = part.channels.count();
		final int slices = part.slices.count();
		final String[] labels = new String[channels * slices * part.frames.count()];
		for (int i = 0; i < labels.length; i++) {
			final int c = part.channels.first + i % channels;
			final int z = part.slices.first + i / channels % slices;
			final int t = part.frames.first + i / (channels * slices);
			labels[i] = imp.getStack().getSliceLabel(imp.getStackIndex(c, z, t));
		}
		return labels;
	}
}
