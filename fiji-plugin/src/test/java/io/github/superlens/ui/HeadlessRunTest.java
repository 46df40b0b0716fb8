package io.github.superlens.ui;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.nio.file.Path;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import io.github.superlens.engine.PythonEnvironment;
import net.imagej.patcher.LegacyEnvironment;

/** A macro without a screen that has the real worker do a real if short training, in ImageJ as Fiji patches it. */
class HeadlessRunTest {

	@TempDir
	Path folder;

	@Test
	void aMacroGivesThePixelsOfTheCommandLine() throws Exception {
		final String named = System.getenv(PythonEnvironment.VARIABLE);
		assumeTrue(named != null && !named.isEmpty(), "no real run is tested: " + PythonEnvironment.VARIABLE + " names no Python with superlens");
		Shell.crop(folder.resolve("cell.tif"), 64);
		PluginsFolder.fill();
		final LegacyEnvironment ij = new LegacyEnvironment(null, true);
		final File classes = new File(System.getProperty("classes"));
		ij.addPluginClasspath(classes, new File(classes.getParentFile(), "test-classes"));
		final String data = folder.toString().replace('\\', '/') + "/";
		ij.runMacro("open(\"" + data + "cell.tif\");\n" + //
			"run(\"Superlens Enhance...\", \"na=1.49 wavelength_nm=525 pixel_nm=62.6 steps=20 seed=1 threads=1\");\n" + //
			"saveAs(\"Tiff\", \"" + data + "macro.tif\");\n" + //
			"call(\"io.github.superlens.engine.EngineProvider.stop\");\n", "");
		assertArrayEquals(Shell.enhanced(new File(named), folder.resolve("cell.tif"), "--steps", "20", "--seed", "1"), Shell.pixels(folder.resolve("macro.tif")));
	}
}
