package io.github.superlens.ui;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import io.github.superlens.engine.PythonEnvironment;
import net.imagej.patcher.LegacyEnvironment;

/** A macro without a screen that has the real worker do a real if short training, in ImageJ as Fiji patches it. */
class HeadlessRunTest {

	@TempDir
	Path folder;

	private String python;
	private String data;

	@BeforeEach
	void look() throws IOException {
		python = System.getenv(PythonEnvironment.VARIABLE);
		assumeTrue(python != null && !python.isEmpty(), "no real run is tested: " + PythonEnvironment.VARIABLE + " names no Python with superlens");
		data = folder.toString().replace('\\', '/') + "/";
		Shell.crop(folder.resolve("cell.tif"), 64);
		PluginsFolder.fill();
	}

	@Test
	void aMacroGivesThePixelsOfTheCommandLine() throws Exception {
		imagej(true).runMacro(enhance() + "call(\"io.github.superlens.engine.EngineProvider.stop\");\n", "");
		assertArrayEquals(Shell.enhanced(new File(python), folder.resolve("cell.tif"), "--preset", "instant"), Shell.pixels(folder.resolve("macro.tif")));
	}

	@Test
	void withoutTheLibrariesOfThePluginAMacroEndsThere() throws Exception {
		imagej(false).runMacro(enhance(), "");
		assertFalse(Files.exists(folder.resolve("macro.tif")));
	}

	private String enhance() {
		return "open(\"" + data + "cell.tif\");\n" + //
			"run(\"Superlens Enhance...\", \"na=1.49 wavelength_nm=525 pixel_nm=62.6 preset=instant threads=1\");\n" + //
			"saveAs(\"Tiff\", \"" + data + "macro.tif\");\n";
	}

	/** ImageJ with the plugin, and with the libraries that it brings or without. */
	private static LegacyEnvironment imagej(boolean whole) throws Exception {
		final LegacyEnvironment ij = new LegacyEnvironment(null, true);
		final File classes = new File(System.getProperty("classes"));
		ij.addPluginClasspath(classes);
		final File[] libraries = new File(classes.getParentFile(), "lib").listFiles((lib, name) -> !name.startsWith("ij-"));
		if (whole) ij.addPluginClasspath(libraries);
		return ij;
	}
}
