package io.github.superlens.ui;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.awt.GraphicsEnvironment;
import java.awt.Rectangle;
import java.awt.Window;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;

import javax.swing.JLabel;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import ij.IJ;
import ij.ImageJ;
import ij.ImagePlus;
import ij.WindowManager;
import io.github.superlens.engine.EngineProvider;
import io.github.superlens.engine.PythonEnvironment;

/** A person's way from an open image to a super-resolved one: the real ImageJ, the real worker, a real if short training. */
@Tag("screen")
class RealRunTest {

	@TempDir
	static Path folder;

	private static File python;

	@BeforeAll
	static void start() throws IOException {
		assumeFalse(GraphicsEnvironment.isHeadless(), "no run from the menu is tested: there is no screen");
		final String named = System.getenv(PythonEnvironment.VARIABLE);
		assumeTrue(named != null && !named.isEmpty(), "no real run is tested: " + PythonEnvironment.VARIABLE + " names no Python with superlens");
		python = new File(named);
		PluginsFolder.fill();
		if (IJ.getInstance() == null) new ImageJ(ImageJ.STANDALONE).exitWhenQuitting(false);
	}

	@AfterAll
	static void stop() {
		EngineProvider.stop();
	}

	@Test
	void menuMacroAndCommandLineGiveTheSamePixels() throws Exception {
		EngineProvider.stop(); // the number of threads is chosen once in a worker
		final ImagePlus image = crop("cell.tif", 64);
		final float[] fromMenu = pixels(enhanced(image, 3, false));
		Screen.onlyOpen(image);
		IJ.runMacro("run(\"Superlens Enhance...\", \"na=1.49 wavelength_nm=525 pixel_nm=62.6 steps=3 seed=1 threads=1\");");
		final float[] fromMacro = pixels(WindowManager.getCurrentImage());
		assertArrayEquals(fromMenu, fromMacro);
		assertArrayEquals(fromMenu, Shell.enhanced(python, folder.resolve("cell.tif"), "--steps", "3", "--seed", "1"));
	}

	@Test
	void theWindowsOfARunAreWorthAPicture() throws Exception {
		final ImagePlus image = crop("microtubules.tif", 64);
		final ImagePlus result = enhanced(image, 60, true);
		assertEquals("microtubules-sr", result.getTitle());
		IJ.run(image, "Set... ", "zoom=200");
		image.getWindow().setLocation(20, 200);
		Screen.pause(1500);
		result.getWindow().setLocation(30 + image.getWindow().getWidth(), 200);
		Screen.pause(1500);
		Screen.picture(image.getWindow().getBounds().union(result.getWindow().getBounds()), "result");
		assertTrue(result.getInfoProperty().contains("Superlens Enhance..."));
	}

	/** The dialogs with what the engine says below their fields. */
	@ParameterizedTest
	@CsvSource({ "Train,train,true,model is missing", "Predict,predict,false,model is missing", "Localize,localize,false,Makes", "Simulate,simulate,false,''", //
		"PSF,psf,true,''", "Remove Stripes,stripes,false,''", "Compare,compare,false,''" })
	void aDialogIsWorthAPicture(String name, String picture, boolean optics, String words) throws Exception {
		Screen.onlyOpen(crop("microtubules.tif", 64));
		IJ.doCommand("Superlens " + name + "...");
		final Window dialog = Screen.await("the dialog", () -> Screen.dialog("Superlens " + name));
		if (optics) {
			typeOptics(dialog);
			Screen.await("the PSF", () -> Screen.find(dialog, JLabel.class, label -> String.valueOf(label.getText()).startsWith("FWHM")));
		}
		if (!words.isEmpty()) Screen.await("the forecast", () -> Screen.find(dialog, JLabel.class, label -> String.valueOf(label.getText()).contains(words)));
		Screen.picture(dialog, "dialog-" + picture);
		Screen.press(dialog, "Cancel");
		Screen.await("the end of the dialog", () -> !dialog.isShowing());
	}

	@Test
	void theSetupSaysWhichPythonWorksNow() throws Exception {
		IJ.doCommand("Superlens Setup...");
		final Window dialog = Screen.await("the dialog", () -> Screen.dialog("Superlens Setup"));
		Screen.await("the Python", () -> Screen.find(dialog, JLabel.class, label -> label.getText() != null && label.getText().contains(python.getName())));
		Screen.picture(dialog, "setup");
		Screen.press(dialog, "Cancel");
		Screen.await("the end of the dialog", () -> !dialog.isShowing());
	}

	private static ImagePlus crop(String name, int side) {
		final ImagePlus image = Shell.crop(folder.resolve(name), side);
		image.setTitle(name);
		image.show();
		return image;
	}

	private static ImagePlus enhanced(ImagePlus image, int steps, boolean picture) throws Exception {
		Screen.onlyOpen(image);
		IJ.doCommand("Superlens Enhance...");
		final Window dialog = Screen.await("the dialog", () -> Screen.dialog("Superlens Enhance"));
		Screen.press(dialog, "Advanced");
		typeOptics(dialog);
		Screen.type(dialog, "Most training steps.", Integer.toString(steps));
		if (!picture) Screen.type(dialog, "Processor threads; default: all.", "1");
		Screen.type(dialog, "Same seed, steps and device: same pixels. Default: 0.", "1");
		if (picture) {
			Screen.await("the forecast", () -> Screen.find(dialog, JLabel.class, label -> label.getText() != null && label.getText().contains("Makes")));
			Screen.await("the PSF", () -> Screen.find(dialog, JLabel.class, label -> label.getText() != null && label.getText().startsWith("FWHM")));
			Screen.picture(dialog, "dialog-advanced");
			Screen.press(dialog, "Advanced");
			Screen.picture(dialog, "enhance");
		}
		Screen.press(dialog, "OK");
		final Window progress = Screen.await("the progress", () -> Screen.window("Superlens Enhance... "));
		if (picture) {
			Screen.await("the curve of the loss", () -> Screen.find(progress, LossChart.class, chart -> chart.points() > 2));
			Screen.await("the preview", () -> Screen.find(progress, Preview.class, Preview::shown));
			Screen.picture(progress, "progress");
		}
		final String title = image.getTitle().replace(".tif", "-sr");
		return Screen.await("the result", () -> WindowManager.getImage(title));
	}

	private static void typeOptics(Window dialog) throws Exception {
		Screen.type(dialog, "Numerical aperture of the objective.", "1.49");
		Screen.type(dialog, "Wavelength of the detected light, in nm", "525");
	}

	private static float[] pixels(ImagePlus image) {
		return (float[]) image.getProcessor().getPixelsCopy();
	}
}
