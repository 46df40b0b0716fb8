package io.github.superlens.image;

import java.awt.Rectangle;

import ij.ImagePlus;
import ij.gui.Roi;
import ij.plugin.Duplicator;
import io.github.superlens.engine.EngineException;

/** Which part of an image is worked on: a rectangle, and ranges of channels, slices and frames. Immutable; counts from 1, as ImageJ shows it. */
public final class Selection {

	/** Bounds in pixels. */
	final Rectangle bounds;
	final Range channels;
	final Range slices;
	final Range frames;

	private Selection(Rectangle bounds, Range channels, Range slices, Range frames) {
		this.bounds = bounds;
		this.channels = channels;
		this.slices = slices;
		this.frames = frames;
	}

	/** All of an image, whatever is selected in it. */
	public static Selection all(ImagePlus imp) {
		final Rectangle whole = new Rectangle(imp.getWidth(), imp.getHeight());
		return new Selection(whole, Range.to(imp.getNChannels()), Range.to(imp.getNSlices()), Range.to(imp.getNFrames()));
	}

	/**
	 * The bounding box of the image's area selection, or all of it without one, and some of its planes.
	 *
	 * @param channels range like {@code 2} or {@code 1-3}; empty for all
	 * @param slices the same for slices
	 * @param frames the same for frames
	 * @throws EngineException when a range leaves the image, or is no range
	 */
	public static Selection of(ImagePlus imp, String channels, String slices, String frames) throws EngineException {
		final Rectangle bounds = all(imp).bounds;
		final Roi roi = imp.getRoi();
		final Rectangle box = roi == null || !roi.isArea() ? bounds : bounds.intersection(roi.getBounds());
		return new Selection(box.isEmpty() ? bounds : box, //
			Range.read("channels", channels, imp.getNChannels()), //
			Range.read("slices", slices, imp.getNSlices()), //
			Range.read("frames", frames, imp.getNFrames()));
	}

	/** Whether it is the whole image. */
	public boolean isAll(ImagePlus imp) {
		return pixels() == (long) imp.getWidth() * imp.getHeight() * imp.getStackSize();
	}

	/** Number of pixels. */
	public long pixels() {
		return (long) bounds.width * bounds.height * channels.count() * slices.count() * frames.count();
	}

	/** A copy of this part of an image. */
	public ImagePlus duplicate(ImagePlus imp, Duplicator duplicator) {
		final Roi before = imp.getRoi();
		imp.setRoi(bounds);
		final ImagePlus copy = duplicator.run(imp, channels.first, channels.last, slices.first, slices.last, frames.first, frames.last);
		imp.setRoi(before);
		return copy;
	}

	/** First and last of something counted from 1. */
	static final class Range {

		final int first;
		final int last;

		private Range(int first, int last) {
			this.first = first;
			this.last = last;
		}

		static Range to(int count) {
			return new Range(1, count);
		}

		static Range read(String name, String text, int count) throws EngineException {
			final String given = text == null ? "" : text.replace(" ", "");
			if (given.isEmpty()) return to(count);
			if (!given.matches("\\d{1,6}(-\\d{1,6})?")) throw EngineException.user(name + " is \"" + text + "\"; expected a number or a range like 2-7.");
			final String[] ends = given.split("-");
			final Range range = new Range(Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1]));
			if (range.first < 1 || range.last < range.first || range.last > count) throw EngineException.user(name + " is " + text +
				"; this image has " + name + " 1-" + count + ".");
			return range;
		}

		int count() {
			return last - first + 1;
		}
	}
}
