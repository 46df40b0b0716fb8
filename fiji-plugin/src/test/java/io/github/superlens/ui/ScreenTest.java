package io.github.superlens.ui;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.awt.GraphicsEnvironment;
import java.awt.Window;
import java.io.IOException;
import java.util.List;
import java.util.stream.Collectors;

import javax.swing.JTextField;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import ij.IJ;
import ij.ImageJ;
import ij.ImagePlus;
import ij.Menus;
import ij.WindowManager;
import ij.plugin.frame.Recorder;
import io.github.superlens.engine.EngineRegistry;
import io.github.superlens.engine.FakeEngine;
import io.github.superlens.engine.Json;

/** The real ImageJ on a screen, with the plugin's jar in its plugins folder and an engine that only pretends. */
@Tag("screen")
class ScreenTest {

	private final FakeEngine engine = new FakeEngine();
	private ImagePlus image;

	@BeforeAll
	static void start() throws IOException {
		assumeFalse(GraphicsEnvironment.isHeadless(), "no dialog is tested: there is no screen");
		PluginsFolder.fill();
		if (IJ.getInstance() == null) new ImageJ(ImageJ.STANDALONE).exitWhenQuitting(false);
	}

	@BeforeEach
	void open() {
		EngineRegistry.set(engine);
		image = IJ.openImage(System.getProperty("sample"));
		image.show();
	}

	@AfterEach
	void close() {
		EngineRegistry.clear();
		Screen.closeDialogs();
		for (final int id : WindowManager.getIDList() == null ? new int[0] : WindowManager.getIDList()) {
			WindowManager.getImage(id).changes = false;
			WindowManager.getImage(id).close();
		}
	}

	@ParameterizedTest
	@CsvSource({ "Enhance,enhance", "Train,train", "Predict,predict", "Localize,localize", "SIM,sim", "Simulate,simulate", "PSF,psf", "Remove Stripes,stripes", "Compare,compare", "Setup,setup" })
	void anItemOpensItsDialogAndCancelDoesNothing(String name, String picture) throws Exception {
		final Window dialog = opened("Superlens " + name);
		Screen.press(dialog, "Cancel");
		Screen.await("the end of the dialog", () -> !dialog.isShowing());
		assertTrue(engine.requests.stream().noneMatch(request -> picture.equals(request.get("verb")) && !picture.equals("psf")));
	}

	@Test
	void advancedParametersUnfold() throws Exception {
		final Window dialog = opened("Superlens Enhance");
		assertNull(Screen.find(dialog, JTextField.class, field -> field.isShowing() && "Most training steps.".equals(field.getToolTipText())));
		Screen.press(dialog, "Advanced");
		assertNotNull(Screen.await("the field of the steps", () -> Screen.find(dialog, JTextField.class, field -> field.isShowing() && "Most training steps.".equals(field
			.getToolTipText()))));
		Screen.pause(800);
		Screen.press(dialog, "Cancel");
	}

	@Test
	void okRunsAndTheRecordedLineGivesTheSamePixels() throws Exception {
		final Recorder recorder = new Recorder();
		final Window dialog = opened("Superlens Enhance");
		Screen.type(dialog, "Numerical aperture of the objective.", "1.49");
		Screen.type(dialog, "Wavelength of the detected light, in nm", "525");
		Screen.press(dialog, "OK");
		final ImagePlus first = Screen.await("the result", () -> WindowManager.getImage(stem() + "-sr"));
		final String line = Screen.await("the recorded line", () -> recorded(recorder));
		recorder.close();
		assertTrue(line.startsWith("run(\"Superlens Enhance...\", \"na=1.49 wavelength_nm=525"), line);
		final Object pixels = first.getProcessor().getPixelsCopy();
		first.changes = false;
		first.close();
		IJ.selectWindow(image.getTitle());
		IJ.runMacro(line);
		assertArrayEquals((float[]) pixels, (float[]) WindowManager.getCurrentImage().getProcessor().getPixels());
	}

	@ParameterizedTest
	@CsvSource({ "Train,File for the trained model,/data/m.zip", "Predict,A model file,/data/m.zip", "Localize,'',''", "SIM,'',''", "Simulate,'',''", "PSF,'',''", "Remove Stripes,'',''",
		"Compare,'',''", "Setup,'',''" })
	void everyDialogIsRecordedAndItsLineRunsWithoutAsking(String name, String tip, String value) throws Exception {
		final Recorder recorder = new Recorder();
		final Window dialog = opened("Superlens " + name);
		if (!tip.isEmpty()) Screen.type(dialog, tip, value);
		Screen.press(dialog, "OK");
		final String line = Screen.await("the recorded line", () -> recorded(recorder));
		recorder.close();
		assertTrue(line.startsWith("run(\"Superlens " + name + "...\", \""), line);
		final int asked = engine.requests.size();
		Screen.onlyOpen(image);
		IJ.runMacro(line);
		assertTrue(engine.requests.size() > asked, line + " asked nothing of the engine");
		assertNull(Screen.dialog("Superlens " + name));
	}

	@Test
	void whatIsCancelledIsNotRecorded() {
		final Recorder recorder = new Recorder();
		final Window dialog = opened("Superlens Enhance");
		Screen.press(dialog, "Cancel");
		Screen.await("the end of the dialog", () -> !dialog.isShowing());
		Screen.pause(300);
		assertNull(recorded(recorder));
		recorder.close();
	}

	@Test
	void aWrongValueIsSaidInTheDialogWhichStays() throws Exception {
		final Window dialog = opened("Superlens Enhance");
		Screen.type(dialog, "Numerical aperture of the objective.", "high");
		Screen.press(dialog, "OK");
		Screen.await("the sentence", () -> Screen.find(dialog, javax.swing.JLabel.class, label -> label.getText() != null && label.getText().contains("na is high")));
		assertTrue(dialog.isShowing());
		Screen.picture(dialog, "dialog-wrong-value");
		Screen.press(dialog, "Cancel");
	}

	@Test
	void cancelInTheProgressWindowStopsTheRun() throws Exception {
		engine.slow = true;
		IJ.setKeyUp(IJ.ALL_KEYS);
		final Window dialog = opened("Superlens Enhance");
		Screen.press(dialog, "OK");
		final Window progress = Screen.await("the progress", () -> Screen.window("Superlens Enhance... "));
		Screen.press(progress, "Cancel");
		Screen.await("the end", () -> !progress.isShowing());
		assertNull(WindowManager.getImage(stem() + "-sr"));
	}

	@Test
	void finishNowKeepsTheResult() throws Exception {
		engine.slow = true;
		final Window dialog = opened("Superlens Enhance");
		Screen.press(dialog, "OK");
		final Window progress = Screen.await("the progress", () -> Screen.window("Superlens Enhance... "));
		Screen.press(progress, "Finish now");
		assertNotNull(Screen.await("the result", () -> WindowManager.getImage(stem() + "-sr")));
	}

	@Test
	void aFailureIsSaidInADialog() throws Exception {
		engine.answer = FakeEngine.failure("user", "the model is for pixels of 65 nm and this image has 31.3 nm.");
		final Window dialog = opened("Superlens Enhance");
		Screen.press(dialog, "OK");
		final Window said = Screen.await("the sentence", Screen::message);
		Screen.picture(said, "dialog-failure");
		javax.swing.SwingUtilities.invokeLater(said::dispose);
	}

	@Test
	void modelsAndHelpOpenTheirWindows() throws Exception {
		IJ.doCommand("Superlens Models...");
		Screen.picture(Screen.await("the table", () -> Screen.window("Superlens models")), "window-models");
		IJ.doCommand("Superlens Help");
		final Window help = Screen.await("the help", () -> Screen.window("Superlens " + io.github.superlens.engine.Version.OF_PLUGIN));
		Screen.picture(help, "window-help");
		help.dispose();
	}

	@Test
	void theInputIsUnlockedAndUnchangedAfterwards() throws Exception {
		final Object before = image.getProcessor().getPixelsCopy();
		final Window dialog = opened("Superlens Enhance");
		Screen.press(dialog, "OK");
		Screen.await("the result", () -> WindowManager.getImage(stem() + "-sr"));
		assertArrayEquals((short[]) before, (short[]) image.getProcessor().getPixels());
		assertEquals(false, image.isLocked());
	}

	@Test
	@SuppressWarnings("unchecked")
	void localizationsGoOnToThunderStormWhereItIs() {
		Menus.getCommands().put("Import results", FakeThunderSTORM.class.getName());
		try {
			IJ.runMacro("run(\"Superlens Localize...\", \"save_table=[/data/found molecules.csv]\");");
			assertTrue(FakeThunderSTORM.told.startsWith("filepath=[/data/found molecules.csv] fileformat=[CSV (comma separated)]"), FakeThunderSTORM.told);
			IJ.runMacro("selectImage(" + image.getID() + "); run(\"Superlens Localize...\", \"render_nm=10\");");
			final String file = String.valueOf(Json.object(engine.last("localize").get("parameters")).get("save_table"));
			assertTrue(FakeThunderSTORM.told.contains("[" + file + "]"), FakeThunderSTORM.told);
			assertEquals(false, new java.io.File(file).exists());
		}
		finally {
			Menus.getCommands().remove("Import results");
		}
	}

	private Window opened(String title) {
		Screen.onlyOpen(image);
		IJ.doCommand(title + "...");
		return Screen.await("the dialog " + title, () -> Screen.dialog(title));
	}

	private String stem() {
		return image.getTitle().replaceFirst("\\.tif$", "");
	}

	private static String recorded(Recorder recorder) {
		final List<String> lines = java.util.Arrays.stream(recorder.getText().split("\n")).filter(line -> line.contains("Superlens")).collect(Collectors.toList());
		return lines.isEmpty() ? null : lines.get(lines.size() - 1);
	}
}
