package io.github.superlens.image;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import ij.IJ;
import ij.ImagePlus;
import ij.gui.Roi;
import io.github.superlens.engine.EngineException;

class ImagePlusIOTest {

	@ParameterizedTest
	@CsvSource({ "8,1,1,1,1,1", "8,7,5,2,3,4", "16,33,47,1,1,1", "16,3,2,2,1,3", "32,5,7,1,4,1", "32,1,9,3,2,2" })
	void pixelsGoThereAndBackUnchanged(int depth, int width, int height, int channels, int slices, int frames) throws EngineException {
		final ImagePlus imp = random(depth, width, height, channels, slices, frames);
		final ImageBlock block = ImagePlusIO.block(imp, Selection.all(imp));
		final ij.ImageStack back = ImagePlusIO.stack(block);
		assertEquals(imp.getStackSize(), back.size());
		for (int i = 1; i <= back.size(); i++) assertSame(imp.getStack().getPixels(i), back.getPixels(i));
	}

	@Test
	void theLastAxisOfABlockRunsFastestAndTimeSlowest() throws EngineException {
		final ImagePlus imp = random(16, 4, 3, 2, 5, 6);
		final ImageBlock block = ImagePlusIO.block(imp, Selection.all(imp));
		assertEquals("TCZYX", block.description().get("axes"));
		assertEquals(Arrays.asList(6, 2, 5, 3, 4), block.description().get("shape"));
		final int index = (((4 * 2 + 1) * 5 + 3) * 3 + 2) * 4 + 1;
		final int expected = imp.getStack().getProcessor(imp.getStackIndex(2, 4, 5)).get(1, 2);
		assertEquals(expected, block.pixels().getShort(2 * index) & 0xffff);
	}

	@Test
	void nanAndInfinitiesSurvive() throws EngineException {
		final ImagePlus imp = IJ.createImage("x", 3, 1, 1, 32);
		final float[] values = { Float.NaN, Float.NEGATIVE_INFINITY, Float.MIN_VALUE };
		System.arraycopy(values, 0, imp.getProcessor().getPixels(), 0, 3);
		assertSame(values, ImagePlusIO.stack(ImagePlusIO.block(imp, Selection.all(imp))).getPixels(1));
	}

	@Test
	void onlyTheSelectedPartIsTaken() throws EngineException {
		final ImagePlus imp = random(8, 9, 8, 2, 3, 4);
		imp.setRoi(new Roi(2, 1, 4, 3));
		final ImageBlock block = ImagePlusIO.block(imp, Selection.of(imp, "2", "2-3", ""));
		assertEquals("TZYX", block.description().get("axes"));
		assertEquals(Arrays.asList(4, 2, 3, 4), block.description().get("shape"));
		assertEquals(imp.getStack().getProcessor(imp.getStackIndex(2, 2, 1)).get(2, 1), block.pixels().get(0) & 0xff);
	}

	@ParameterizedTest
	@CsvSource({ "0", "5", "3-2", "1-9", "a", "-2" })
	void rangesOutsideTheImageAreRefusedWithWhatThereIs(String range) {
		final ImagePlus imp = random(8, 2, 2, 1, 4, 1);
		final EngineException refused = assertThrows(EngineException.class, () -> Selection.of(imp, "", range, ""));
		assertTrue(refused.getMessage().startsWith("slices is"), refused.getMessage());
	}

	@Test
	void coloursAndNothingAreRefusedInWords() {
		final ImagePlus rgb = IJ.createImage("cell", "RGB", 4, 4, 1);
		assertTrue(assertThrows(EngineException.class, () -> ImagePlusIO.check(rgb)).getMessage().contains("colours"));
		assertTrue(assertThrows(EngineException.class, () -> ImagePlusIO.check(null)).getMessage().contains("No image is open"));
		assertTrue(assertThrows(EngineException.class, () -> ImagePlusIO.check(new ImagePlus())).getMessage().contains("empty"));
	}

	@Test
	void pixelsThatAreNotSquareAreRefused() {
		final ImagePlus imp = random(8, 4, 4, 1, 1, 1);
		imp.getCalibration().pixelHeight = 2;
		assertTrue(assertThrows(EngineException.class, () -> ImagePlusIO.check(imp)).getMessage().contains("square"));
	}

	@Test
	void calibrationBecomesNanometresAndSeconds() {
		final ImagePlus imp = random(16, 4, 4, 1, 2, 2);
		imp.getCalibration().setUnit("\u00b5m");
		imp.getCalibration().pixelWidth = imp.getCalibration().pixelHeight = 0.065;
		imp.getCalibration().pixelDepth = 0.3;
		imp.getCalibration().frameInterval = 50;
		imp.getCalibration().setTimeUnit("ms");
		final Map<String, Object> words = ImagePlusIO.describe(imp, Selection.all(imp));
		assertEquals(65.0, words.get("pixel_nm"));
		assertEquals(300.0, words.get("z_step_nm"));
		assertEquals(0.05, words.get("frame_interval_s"));
	}

	@ParameterizedTest
	@CsvSource({ "pixel,1", "inch,0.0138", "'',1", "gray,3" })
	void unitsThatAreNoSamplingGiveNone(String unit, double size) {
		final ImagePlus imp = random(16, 4, 4, 1, 1, 1);
		imp.getCalibration().setUnit(unit);
		imp.getCalibration().pixelWidth = imp.getCalibration().pixelHeight = size;
		assertNull(ImagePlusIO.describe(imp, Selection.all(imp)).get("pixel_nm"));
	}

	static ImagePlus random(int depth, int width, int height, int channels, int slices, int frames) {
		final ImagePlus imp = IJ.createHyperStack("cell.tif", width, height, channels, slices, frames, depth);
		final Random random = new Random(width + 31L * height);
		for (int i = 1; i <= imp.getStackSize(); i++) {
			for (int p = 0; p < width * height; p++) imp.getStack().getProcessor(i).setf(p, random.nextInt(depth == 8 ? 256 : 65536));
		}
		return imp;
	}

	private static void assertSame(Object expected, Object found) {
		if (expected instanceof byte[]) assertArrayEquals((byte[]) expected, (byte[]) found);
		else if (expected instanceof short[]) assertArrayEquals((short[]) expected, (short[]) found);
		else assertArrayEquals((float[]) expected, (float[]) found, 0);
	}
}
