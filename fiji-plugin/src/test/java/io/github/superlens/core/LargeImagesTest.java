package io.github.superlens.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

import org.junit.jupiter.api.Test;

import ij.IJ;
import ij.ImagePlus;
import ij.gui.Roi;
import ij.io.FileSaver;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Json;
import io.github.superlens.image.ImageBlock;
import io.github.superlens.image.Look;
import io.github.superlens.image.Selection;

class LargeImagesTest {

	@Test
	void moreThanTwoGigabytesNeedFiles() {
		assertTrue(ImageBlock.tooLarge(2147483648.0));
		assertFalse(ImageBlock.tooLarge(2147483647.0));
	}

	@Test
	void theSelectedPartIsWrittenAndTheFolderGoesAway() throws EngineException {
		final ImagePlus imp = IJ.createHyperStack("cell", 9, 8, 2, 3, 1, 16);
		imp.getCalibration().setUnit("nm");
		imp.setRoi(new Roi(1, 2, 4, 5));
		final Path file;
		try (LargeImages files = new LargeImages()) {
			file = files.write(imp, Selection.of(imp, "", "2-3", ""));
			final ImagePlus read = IJ.openImage(file.toString());
			assertEquals("4 5 2 2", read.getWidth() + " " + read.getHeight() + " " + read.getNChannels() + " " + read.getNSlices());
		}
		assertFalse(Files.exists(file.getParent()));
		assertEquals(4, imp.getRoi().getBounds().width);
	}

	@Test
	void aResultInAFileGetsTheLooksOfItsInput() throws EngineException {
		final ImagePlus imp = IJ.createImage("cell.tif", "16-bit black", 6, 5, 1);
		try (LargeImages files = new LargeImages()) {
			final Path made = files.output().resolve("cell_sr.tif");
			new FileSaver(IJ.createImage("made", "32-bit black", 12, 10, 1)).saveAsTiff(made.toString());
			final Map<String, Object> output = Json.object(Json.parse("{\"role\":\"sharp\",\"name\":\"cell-sr\",\"scale\":2,\"bytes\":480}"));
			output.put("path", made.toString());
			final ImagePlus shown = files.open(output, new Look(imp, Selection.all(imp)), "how");
			assertEquals("cell-sr 12", shown.getTitle() + " " + shown.getWidth());
			assertEquals("how", shown.getInfoProperty());
		}
	}
}
