package io.github.superlens.image;

import java.util.Map;

import ij.CompositeImage;
import ij.ImagePlus;
import ij.ImageStack;
import ij.measure.Calibration;
import ij.process.LUT;
import io.github.superlens.engine.Json;

/**
 * Makes ImageJ's image of a result: the input's unit, frame interval, channel colours and place in the specimen, at the new sampling.
 */
public final class ResultFactory {

	private static final double SAME = 1e-3;

	private ResultFactory() {
		// makes images
	}

	/**
	 * An image that stands next to its input.
	 *
	 * @param result pixels and description of an output
	 * @param input looks of the image it was made from; null when it comes from a file or from numbers
	 * @param info what to say in the image's Info
	 * @return an image that is not shown yet
	 */
	public static ImagePlus image(ImageBlock result, Look input, String info) {
		final ImageStack stack = ImagePlusIO.stack(result);
		final ImagePlus plain = new ImagePlus("", stack);
		plain.setDimensions(result.size('C'), result.size('Z'), result.size('T'));
		return dress(plain, result.description(), input, info);
	}

	/**
	 * Gives an image of the right dimensions the title, sampling, colours and Info of a result.
	 *
	 * @param plain pixels of a result
	 * @param words description of the output
	 * @param source looks of the image it was made from; null when it comes from a file or from numbers
	 * @param info what to say in the image's Info
	 * @return an image that is not shown yet
	 */
	public static ImagePlus dress(ImagePlus plain, Map<String, Object> words, Look source, String info) {
		final Look input = source == null ? null : source.of(Json.array(words.get("channels")));
		final ImageStack stack = plain.getStack();
		for (int i = 0; input != null && stack.size() > 1 && i < stack.size(); i++) stack.setSliceLabel(input.label(i), i + 1);
		plain.setTitle(Json.text(words, "name", Json.text(words, "role", "result")));
		plain.setCalibration(calibration(words, input));
		final ImagePlus image = plain.getNChannels() > 1 ? composite(plain, input) : grey(plain, input);
		image.setProperty("Info", info);
		return image;
	}

	private static Calibration calibration(Map<String, Object> words, Look input) {
		final Calibration made = input == null ? new Calibration() : input.calibration();
		if (input == null) made.frameInterval = Json.number(words, "frame_interval_s", 0);
		else rescale(made, Json.number(words, "scale", 1), input.part);
		made.disableDensityCalibration();
		final double stated = Json.number(words, "pixel_nm", Double.NaN);
		final Double own = Units.nanometres(made.pixelWidth, made.getXUnit());
		if (!Double.isNaN(stated) && (own == null || Math.abs(own / stated - 1) > SAME)) setSampling(made, stated, Json.number(words, "z_step_nm", made.pixelDepth));
		return made;
	}

	private static void rescale(Calibration calibration, double scale, Selection part) {
		calibration.pixelWidth /= scale;
		calibration.pixelHeight /= scale;
		calibration.xOrigin = (calibration.xOrigin - part.bounds.x) * scale;
		calibration.yOrigin = (calibration.yOrigin - part.bounds.y) * scale;
		calibration.zOrigin -= part.slices.first - 1;
	}

	/** What the engine worked with counts where the image had no unit, or the user typed another pixel size. */
	private static void setSampling(Calibration calibration, double pixelNm, double stepNm) {
		calibration.setUnit("nm");
		calibration.pixelWidth = pixelNm;
		calibration.pixelHeight = pixelNm;
		calibration.pixelDepth = stepNm;
	}

	private static ImagePlus composite(ImagePlus plain, Look input) {
		final CompositeImage image = new CompositeImage(plain, input == null ? CompositeImage.GRAYSCALE : input.mode());
		image.setOpenAsHyperStack(true);
		for (int c = 1; c <= image.getNChannels(); c++) {
			image.setPositionWithoutUpdate(c, middle(image), 1);
			final LUT colours = input == null ? null : input.colours(c - 1);
			final double[] range = DisplayRange.of(image.getStack().getProcessor(image.getCurrentSlice()));
			final LUT shown = colours == null ? image.getChannelLut(c) : colours;
			shown.min = range[0];
			shown.max = range[1];
			image.setChannelLut(shown, c);
		}
		image.setPosition(1, middle(image), 1);
		return image;
	}

	private static ImagePlus grey(ImagePlus image, Look input) {
		image.setOpenAsHyperStack(image.getNFrames() > 1);
		final LUT colours = input == null ? null : input.colours(0);
		if (colours != null) image.setLut(colours);
		image.setPosition(1, middle(image), 1);
		final double[] range = DisplayRange.of(image.getProcessor());
		image.setDisplayRange(range[0], range[1]);
		return image;
	}

	private static int middle(ImagePlus image) {
		return 1 + image.getNSlices() / 2;
	}
}
