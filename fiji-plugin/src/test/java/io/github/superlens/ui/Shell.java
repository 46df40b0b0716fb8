package io.github.superlens.ui;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import ij.IJ;
import ij.ImagePlus;
import ij.io.FileSaver;

/** What the command line makes of a corner of the bundled image, to hold against what the menus make of it. */
final class Shell {

	private Shell() {
		// runs it
	}

	/** A corner of the bundled image with its scale, written to a file too. */
	static ImagePlus crop(Path file, int side) {
		final ImagePlus sample = IJ.openImage(System.getProperty("sample"));
		sample.setRoi(8, 8, side, side);
		final ImagePlus image = sample.crop();
		image.getCalibration().setUnit("nm");
		image.getCalibration().pixelWidth = image.getCalibration().pixelHeight = 62.6;
		new FileSaver(image).saveAsTiff(file.toString());
		return image;
	}

	/** Pixels of {@code superlens enhance} of a file, by one thread. */
	static float[] enhanced(File python, Path file, String... options) throws IOException, InterruptedException {
		final Path out = file.resolveSibling("out");
		final Path said = file.resolveSibling("said by the shell.txt");
		final List<String> line = new ArrayList<>(Arrays.asList(python.getPath(), "-c", "from superlens.cli import main; main()", "enhance", file.toString(), "--na",
			"1.49", "--wavelength-nm", "525", "--pixel-nm", "62.6", "--threads", "1", "--out", out.toString()));
		line.addAll(Arrays.asList(options));
		final Process process = new ProcessBuilder(line).redirectErrorStream(true).redirectOutput(said.toFile()).start();
		assertEquals(0, process.waitFor(), () -> text(said));
		return pixels(out.resolve(file.getFileName().toString().replace(".tif", "_sr.tif")));
	}

	/** Pixels of an image file. */
	static float[] pixels(Path file) {
		return (float[]) IJ.openImage(file.toString()).getProcessor().getPixelsCopy();
	}

	private static String text(Path file) {
		try {
			return new String(Files.readAllBytes(file));
		}
		catch (IOException gone) {
			throw new UncheckedIOException(gone);
		}
	}
}
