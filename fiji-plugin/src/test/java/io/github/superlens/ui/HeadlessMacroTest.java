package io.github.superlens.ui;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import net.imagej.patcher.LegacyEnvironment;

/** Macros without a screen, in ImageJ as Fiji patches it. ImageJ lives in a class loader of its own there: what happened is read from files. */
class HeadlessMacroTest {

	private static final String FAKE = "call(\"io.github.superlens.engine.FakeEngine.install\");\n";
	private static LegacyEnvironment ij;

	@TempDir
	Path folder;

	@BeforeAll
	static void start() throws Exception {
		PluginsFolder.fill();
		ij = new LegacyEnvironment(null, true);
		final File classes = new File(System.getProperty("classes"));
		ij.addPluginClasspath(classes, new File(classes.getParentFile(), "test-classes"));
	}

	@Test
	void enhanceReturnsWhenDoneAndItsResultIsCurrent() throws IOException {
		final String title = said(FAKE + "newImage(\"cell.tif\", \"16-bit ramp\", 8, 6, 1);\n" +
			"run(\"Superlens Enhance...\", \"na=1.3 wavelength_nm=525 pixel_nm=65 preset=fast\");\n", "getTitle() + \" \" + getWidth() + \" \" + getHeight() + \" \" + bitDepth()");
		assertEquals("cell-sr 16 12 32", title);
	}

	@Test
	void everyValueMayComeInBrackets() throws IOException {
		assertEquals("cell-sr", said(FAKE + "newImage(\"cell\", \"8-bit ramp\", 8, 6, 1);\n" +
			"run(\"Superlens Enhance...\", \"na=[1.3] wavelength_nm=[525] denoise_only=[false] steps=[20]\");\n", "getTitle()"));
	}

	@Test
	void theNextLineOfTheMacroWorksOnTheResult() throws IOException {
		assertEquals("4", said(FAKE + "newImage(\"cell\", \"8-bit ramp\", 8, 6, 1);\nrun(\"Superlens Predict...\", \"model=[m.zip] show_denoised\");\n" +
			"run(\"Size...\", \"width=4 height=3 interpolation=None\");\n", "getWidth()"));
	}

	@Test
	void aWrongValueFailsTheMacroThere() throws IOException {
		assertEquals("", said(FAKE + "newImage(\"cell\", \"8-bit ramp\", 8, 6, 1);\nrun(\"Superlens Enhance...\", \"na=high\");\n", "\"went on\""));
	}

	@Test
	void withoutAnImageTheMacroFails() throws IOException {
		assertEquals("", said(FAKE + "run(\"Superlens Enhance...\", \"na=1.3 wavelength_nm=525\");\n", "\"went on\""));
	}

	@ParameterizedTest
	@CsvSource({ "Enhance...,enhance", "Train...,train", "Predict...,predict", "Localize...,localize", "SIM...,sim", "Simulate...,simulate", "PSF...,psf", "Remove Stripes...,stripes",
		"Compare...,compare", "Models...,models", "Setup...,setup", "Help,help" })
	void everyItemOfTheMenuIsThereUnderItsLastingName(String label, String name) throws IOException {
		assertEquals("io.github.superlens.ui.SuperlensMenu(\"" + name + "\")", said("List.setCommands;\n", "List.get(\"Superlens " + label + "\")"));
	}

	@ParameterizedTest
	@CsvSource({ "Enhance...,na=1.3 wavelength_nm=525", "Train...,na=1.3 wavelength_nm=525 model=[m.zip]", "Predict...,model=[m.zip]", "Localize...,pixel_nm=100", "SIM...,na=1.4 wavelength_nm=525",
		"Simulate...,pixel_nm=100 frames=3", "PSF...,na=1.3 wavelength_nm=525 pixel_nm=65", "Remove Stripes...,remove_stripes=x", "Compare...,reference=cell", "Models...,''",
		"Setup...,''", "Help,''" })
	void everyItemOfTheMenuRunsToItsEnd(String label, String options) throws IOException {
		assertEquals("to the end", said(FAKE + "newImage(\"cell\", \"16-bit ramp\", 8, 6, 1);\nrun(\"Superlens " + label + "\", \"" + options + "\");\n", "\"to the end\""));
	}

	@Test
	void modelsLandInATable() throws IOException {
		assertEquals("light", said(FAKE + "run(\"Superlens Models...\");\n", "getResultString(\"name\", 0)"));
	}

	static List<String> macrosOfTheManual() throws IOException {
		final Path manual = Paths.get(System.getProperty("manual"));
		final Matcher blocks = Pattern.compile("```ijm\n(.*?)```", Pattern.DOTALL).matcher(new String(Files.readAllBytes(manual), StandardCharsets.UTF_8));
		final List<String> macros = new ArrayList<>();
		while (blocks.find()) macros.add(blocks.group(1));
		return macros;
	}

	@ParameterizedTest
	@MethodSource("macrosOfTheManual")
	void everyMacroOfTheManualRunsToItsEnd(String macro) throws IOException {
		final String data = folder.toString().replace('\\', '/') + "/";
		final StringBuilder images = new StringBuilder(FAKE);
		for (final String name : new String[] { "cell", "other cell", "reference", "movie" }) {
			images.append("newImage(\"x\", \"16-bit ramp\", 8, 6, 1);\nsaveAs(\"Tiff\", \"").append(data).append(name).append(".tif\");\nclose();\n");
		}
		images.append("newImage(\"x\", \"16-bit ramp\", 8, 6, 2);\nStack.setDimensions(2, 1, 1);\nsaveAs(\"Tiff\", \"").append(data).append("channels.tif\");\nclose();\n");
		assertEquals("to the end", said(images + macro.replace("/data/", data), "\"to the end\""));
	}

	private String said(String macro, String expression) throws IOException {
		final Path file = folder.resolve("said.txt");
		assertFalse(Files.exists(file));
		try {
			ij.runMacro(macro + "File.saveString(\"\" + " + expression + ", \"" + file.toString().replace('\\', '/') + "\");\nwhile (nImages > 0) close();\n", "");
		}
		catch (RuntimeException failed) {
			assertTrue(canceled(failed), () -> "the macro failed otherwise: " + failed);
		}
		return Files.exists(file) ? new String(Files.readAllBytes(file), StandardCharsets.UTF_8).trim() : "";
	}

	private static boolean canceled(Throwable failed) {
		final Throwable cause = failed instanceof InvocationTargetException ? ((InvocationTargetException) failed).getTargetException() : failed.getCause();
		return String.valueOf(failed.getMessage()).contains("Macro canceled") || cause != null && canceled(cause);
	}
}
