package io.github.superlens.image;

import java.util.List;

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

	private Look(Look whole, List<Object> channels) {
		stem = whole.stem;
		part = whole.part;
		calibration = whole.calibration;
		mode = whole.mode;
		colours = new LUT[channels.size()];
		labels = new String[whole.labels.length / whole.colours.length * colours.length];
		for (int c = 0; c < colours.length; c++) {
			final int from = ((Number) channels.get(c)).intValue();
			colours[c] = whole.colours(from);
			for (int i = 0; i < labels.length / colours.length; i++) labels[i * colours.length + c] = whole.label(i * whole.colours.length + from);
		}
	}

	/**
	 * The looks of an image of some of the channels.
	 *
	 * @param channels which ones of the selected part, counted from 0; all of them when empty
	 */
	Look of(List<Object> channels) {
		return channels.isEmpty() ? this : new Look(this, channels);
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
