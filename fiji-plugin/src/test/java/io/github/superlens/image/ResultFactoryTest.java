package io.github.superlens.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.Color;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.Test;

import ij.CompositeImage;
import ij.ImagePlus;
import ij.gui.Roi;
import ij.measure.Calibration;
import ij.process.LUT;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Json;

class ResultFactoryTest {

	@Test
	void theResultStandsAtItsPlaceInTheSpecimen() throws EngineException {
		final ImagePlus input = calibrated(ImagePlusIOTest.random(16, 12, 10, 1, 1, 1));
		input.setRoi(new Roi(4, 2, 6, 8));
		final ImagePlus result = enhanced(input, Selection.of(input, "", "", ""));
		final Calibration before = input.getCalibration();
		final Calibration after = result.getCalibration();
		assertEquals(before.getX(4 + 3), after.getX(2 * 3), 1e-12);
		assertEquals(before.getY(2 + 5), after.getY(2 * 5), 1e-12);
		assertEquals(before.pixelWidth / 2, after.pixelWidth);
		assertEquals(before.pixelDepth, after.pixelDepth);
		assertEquals(before.frameInterval, after.frameInterval);
		assertEquals("\u00b5m", after.getUnit());
	}

	@Test
	void dimensionsColoursAndModeOfAHyperstackAreKept() throws EngineException {
		final ImagePlus plain = ImagePlusIOTest.random(8, 7, 5, 2, 3, 4);
		final CompositeImage input = new CompositeImage(plain, CompositeImage.COMPOSITE);
		input.setChannelLut(LUT.createLutFromColor(Color.magenta), 1);
		input.setChannelLut(LUT.createLutFromColor(Color.green), 2);
		final ImagePlus result = enhanced(input, Selection.all(input));
		assertEquals("2 3 4", result.getNChannels() + " " + result.getNSlices() + " " + result.getNFrames());
		assertTrue(result.isHyperStack() || result.getOpenAsHyperStack());
		final CompositeImage composite = (CompositeImage) result;
		assertEquals(CompositeImage.COMPOSITE, composite.getMode());
		assertEquals(Color.magenta.getRGB(), composite.getChannelLut(1).getRGB(255));
		assertEquals(Color.green.getRGB(), composite.getChannelLut(2).getRGB(255));
	}

	@Test
	void aChosenChannelKeepsItsOwnColour() throws EngineException {
		final CompositeImage input = new CompositeImage(ImagePlusIOTest.random(8, 4, 4, 3, 1, 1), CompositeImage.COMPOSITE);
		input.setChannelLut(LUT.createLutFromColor(Color.cyan), 3);
		final ImagePlus result = enhanced(input, Selection.of(input, "3", "", ""));
		assertEquals(Color.cyan.getRGB(), result.getLuts()[0].getRGB(255));
	}

	@Test
	void channelsThatTheEngineTookKeepTheirOwnColoursAndLabels() throws EngineException {
		final CompositeImage input = new CompositeImage(ImagePlusIOTest.random(8, 4, 4, 3, 2, 1), CompositeImage.COMPOSITE);
		input.setChannelLut(LUT.createLutFromColor(Color.magenta), 1);
		input.setChannelLut(LUT.createLutFromColor(Color.cyan), 3);
		for (int i = 1; i <= 6; i++) input.getStack().setSliceLabel("plane " + i, i);
		final Map<String, Object> words = words(ImagePlusIO.describe(input, Selection.of(input, "1-2", "", "")));
		words.put("channels", Json.parse("[0,2]"));
		final ImagePlus result = ResultFactory.image(ImageBlock.room(words), new Look(input, Selection.all(input)), "");
		assertEquals(Color.magenta.getRGB(), result.getLuts()[0].getRGB(255));
		assertEquals(Color.cyan.getRGB(), result.getLuts()[1].getRGB(255));
		assertEquals("plane 1", result.getStack().getSliceLabel(1));
		assertEquals("plane 3", result.getStack().getSliceLabel(2));
		assertEquals("plane 6", result.getStack().getSliceLabel(4));
	}

	@Test
	void theTitleIsWhatTheEngineCallsTheResult() throws EngineException {
		final ImagePlus input = ImagePlusIOTest.random(8, 4, 4, 1, 1, 1);
		final ImagePlus result = enhanced(input, Selection.all(input));
		assertEquals("cell-sr", result.getTitle());
		assertEquals("how it was made", result.getProperty("Info"));
	}

	@Test
	void theDisplayRangeShowsTheValuesThatAreThere() throws EngineException {
		final ImagePlus input = ImagePlusIOTest.random(8, 16, 16, 1, 1, 1);
		final ImagePlus result = enhanced(input, Selection.all(input));
		assertTrue(result.getDisplayRangeMin() >= 0 && result.getDisplayRangeMax() <= 1023 && result.getDisplayRangeMax() > result.getDisplayRangeMin());
	}

	@Test
	void nanDoesNotSpoilTheDisplayRange() {
		final ij.process.FloatProcessor plane = new ij.process.FloatProcessor(3, 1, new float[] { Float.NaN, 2, 7 });
		final double[] range = DisplayRange.of(plane);
		assertEquals(2, range[0]);
		assertEquals(7, range[1]);
	}

	@Test
	void aPixelSizeThatWasTypedCountsWhereTheImageHasNone() throws EngineException {
		final ImagePlus input = ImagePlusIOTest.random(8, 4, 4, 1, 1, 1);
		final Map<String, Object> words = words(ImagePlusIO.describe(input, Selection.all(input)));
		words.put("pixel_nm", 32.5);
		final ImagePlus result = ResultFactory.image(ImageBlock.room(words), new Look(input, Selection.all(input)), "");
		assertEquals(32.5, result.getCalibration().pixelWidth);
		assertEquals("nm", result.getCalibration().getUnit());
	}

	@Test
	void labelsOfPlanesAreKept() throws EngineException {
		final ImagePlus input = ImagePlusIOTest.random(8, 4, 4, 1, 3, 1);
		for (int i = 1; i <= 3; i++) input.getStack().setSliceLabel("plane " + i, i);
		final ImagePlus result = enhanced(input, Selection.of(input, "", "2-3", ""));
		assertEquals("plane 3", result.getStack().getSliceLabel(2));
	}

	@Test
	void anImageWithoutInputTakesItsSamplingFromTheWords() throws EngineException {
		final Map<String, Object> words = Json.object(Json.parse("{\"role\":\"psf\",\"name\":\"psf\",\"axes\":\"ZYX\",\"shape\":[3,5,5],\"dtype\":\"float32\"," +
			"\"pixel_nm\":65.0,\"z_step_nm\":200.0,\"scale\":1}"));
		final ImagePlus image = ResultFactory.image(ImageBlock.room(words), null, "");
		assertEquals("psf", image.getTitle());
		assertEquals(65.0, image.getCalibration().pixelHeight);
		assertEquals(200.0, image.getCalibration().pixelDepth);
		assertEquals(3, image.getNSlices());
		assertNotNull(image.getProcessor());
	}

	private static ImagePlus calibrated(ImagePlus input) {
		final Calibration calibration = input.getCalibration();
		calibration.setUnit("\u00b5m");
		calibration.pixelWidth = calibration.pixelHeight = 0.065;
		calibration.pixelDepth = 0.3;
		calibration.xOrigin = 3;
		calibration.frameInterval = 0.5;
		return input;
	}

	private static ImagePlus enhanced(ImagePlus input, Selection part) throws EngineException {
		final ImageBlock room = ImageBlock.room(words(ImagePlusIO.describe(input, part)));
		final FloatBuffer pixels = room.pixels().asFloatBuffer();
		for (int i = 0; i < pixels.limit(); i++) pixels.put(i, i % 1024);
		return ResultFactory.image(room, new Look(input, part), "how it was made");
	}

	private static Map<String, Object> words(Map<String, Object> input) {
		final Map<String, Object> words = new LinkedHashMap<>(input);
		final List<Object> shape = new ArrayList<>(Json.array(input.get("shape")));
		for (int i = shape.size() - 2; i < shape.size(); i++) shape.set(i, 2 * ((Number) shape.get(i)).intValue());
		words.put("shape", shape);
		words.put("dtype", "float32");
		words.put("role", "sharp");
		words.put("name", "cell-sr");
		words.put("scale", 2);
		final Object pixel = input.get("pixel_nm");
		words.put("pixel_nm", pixel == null ? null : ((Number) pixel).doubleValue() / 2);
		return words;
	}
}
