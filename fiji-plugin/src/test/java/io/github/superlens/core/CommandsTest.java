package io.github.superlens.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import ij.IJ;
import ij.ImagePlus;
import io.github.superlens.engine.Engine;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.EngineProvider;
import io.github.superlens.engine.EngineRegistry;
import io.github.superlens.engine.FakeEngine;
import io.github.superlens.engine.Json;
import io.github.superlens.engine.Progress;

class CommandsTest {

	private final FakeEngine engine = new FakeEngine();

	@BeforeEach
	void register() {
		EngineRegistry.set(engine);
	}

	@AfterEach
	void clear() {
		EngineRegistry.clear();
	}

	@Test
	void enhanceShowsTheResultAndLeavesTheInputAlone() throws EngineException {
		final ImagePlus input = image();
		final Desk desk = run("enhance", "na=1.3 wavelength_nm=525 pixel_nm=65", input);
		assertEquals(1, desk.shown.size());
		assertEquals("cell-sr", desk.shown.get(0).getTitle());
		assertEquals(1000 + input.getProcessor().get(3, 2), desk.shown.get(0).getProcessor().getf(7, 4));
		assertEquals(7, input.getProcessor().get(3, 2));
		assertFalse(input.isLocked());
	}

	@Test
	void whatElseIsWantedOpensFirstSoThatTheResultIsCurrent() throws EngineException {
		final Desk desk = run("predict", "model=[m.zip] show_denoised show_uncertainty", image());
		final List<String> titles = new ArrayList<>();
		desk.shown.forEach(image -> titles.add(image.getTitle()));
		assertEquals("[cell-uncertainty, cell-denoised, cell-sr]", titles.toString());
	}

	@Test
	void onlyWantedOutputsAreAskedFor() throws EngineException {
		run("predict", "model=[m.zip] show_uncertainty", image());
		assertEquals(2, Json.array(engine.last("predict").get("outputs")).size());
	}

	@Test
	void theInfoOfAResultHoldsTheMacroThatMakesItAgain() throws EngineException {
		final String info = run("enhance", "na=1.3 wavelength_nm=525 seed=1", image()).shown.get(0).getInfoProperty();
		assertTrue(info.contains("run(\"Superlens Enhance...\", \"na=1.3 wavelength_nm=525 seed=1\");"), info);
		assertTrue(info.contains("fake work") && info.contains("a message"));
	}

	@Test
	void aFileReplacesTheOpenImage() throws EngineException {
		engine.answer = "{\"ok\":true,\"outputs\":[],\"files\":[\"/data/out/a_sr.tif\"]}";
		final Desk desk = run("predict", "model=[m.zip] input=[/data/in] output=[/data/out]", image());
		assertTrue(Json.array(engine.last("predict").get("inputs")).isEmpty());
		assertTrue(Json.array(engine.last("predict").get("outputs")).isEmpty());
		assertTrue(desk.logged.toString().contains("/data/out/a_sr.tif"));
	}

	@Test
	void withoutAnImageASentenceSaysSo() {
		assertTrue(assertThrows(EngineException.class, () -> run("enhance", "na=1.3", null)).getMessage().contains("No image is open"));
	}

	@Test
	void anImageThatAnotherThreadUsesIsRefused() throws InterruptedException {
		final ImagePlus input = image();
		final Thread other = new Thread(input::lock);
		other.start();
		other.join();
		assertTrue(assertThrows(EngineException.class, () -> run("enhance", "na=1.3", input)).getMessage().contains("in use"));
	}

	@Test
	void anImageThatIsClosedDuringTheRunDoesNoHarm() throws EngineException, InterruptedException {
		final ImagePlus input = image();
		engine.slow = true;
		final Desk desk = new Desk(input);
		final Thread run = new Thread(() -> desk.attempt("enhance", "na=1.3 wavelength_nm=525"));
		run.start();
		while (desk.updates.isEmpty()) Thread.sleep(5);
		input.close();
		input.flush();
		desk.finish = true;
		run.join();
		assertEquals("cell-sr", desk.shown.get(0).getTitle());
	}

	@Test
	void finishNowReachesTheEngineFromAnotherThreadAndKeepsTheResult() {
		engine.slow = true;
		final Desk desk = new Desk(image());
		desk.finish = true;
		desk.attempt("enhance", "na=1.3 wavelength_nm=525");
		assertEquals(engine.last("enhance").get("run"), engine.last("finish").get("run"));
		assertEquals(1, desk.shown.size());
	}

	@Test
	void cancelEndsWithNothingShown() {
		engine.slow = true;
		final Desk desk = new Desk(image());
		desk.cancel = true;
		desk.attempt("enhance", "na=1.3 wavelength_nm=525");
		assertEquals(EngineException.Kind.CANCELLED, desk.failure.kind());
		assertTrue(desk.shown.isEmpty());
	}

	@Test
	void aRefusalOfTheEngineIsPassedOn() {
		engine.answer = FakeEngine.failure("user", "wavelength_nm is 0.525; expected 300 to 1100.");
		final EngineException refused = assertThrows(EngineException.class, () -> run("enhance", "na=1.3 wavelength_nm=0.525", image()));
		assertEquals("wavelength_nm is 0.525; expected 300 to 1100.", refused.getMessage());
	}

	@Test
	void modelsComeAsATable() throws EngineException {
		assertEquals("[[light, 1.4]]", run("models", "", null).rows.toString());
	}

	@Test
	void comparingSendsTheResultAndThenTheReference() throws EngineException {
		final ImagePlus result = image();
		run("compare", "reference=cell.tif", result);
		assertEquals(2, Json.array(engine.last("compare").get("inputs")).size());
	}

	@Test
	void anImageThatIsNotOpenIsRefusedByName() {
		assertTrue(assertThrows(EngineException.class, () -> run("compare", "reference=nobody", image())).getMessage().contains("\"nobody\""));
	}

	@Test
	void helpNamesEveryParameter() throws EngineException {
		final String text = run("help", "", null).said;
		for (final ParamSpec param : CommandSpec.of("enhance").params()) assertTrue(text.contains("\n    " + param.key()), param.key());
	}

	private Desk run(String name, String options, ImagePlus image) throws EngineException {
		final Desk desk = new Desk(image);
		Commands.byName().get(name).run(Values.read(CommandSpec.of(name), MacroOptions.parse(options)), desk);
		return desk;
	}

	private static ImagePlus image() {
		final ImagePlus imp = IJ.createImage("cell.tif", "16-bit black", 6, 5, 1);
		imp.getProcessor().set(3, 2, 7);
		return imp;
	}

	/** A host that keeps everything. */
	static final class Desk implements Host, Progress {

		final List<ImagePlus> shown = new ArrayList<>();
		final List<String> logged = new ArrayList<>();
		final List<String> updates = java.util.Collections.synchronizedList(new ArrayList<>());
		List<List<Object>> rows = new ArrayList<>();
		String said = "";
		volatile boolean cancel;
		volatile boolean finish;
		EngineException failure;
		private final ImagePlus image;

		Desk(ImagePlus image) {
			this.image = image;
		}

		void attempt(String name, String options) {
			try {
				Commands.byName().get(name).run(Values.read(CommandSpec.of(name), MacroOptions.parse(options)), this);
			}
			catch (EngineException failed) {
				failure = failed;
			}
		}

		@Override
		public Engine engine() throws EngineException {
			return EngineProvider.get(null);
		}

		@Override
		public ImagePlus image() {
			return image;
		}

		@Override
		public Progress progress() {
			return this;
		}

		@Override
		public void show(ImagePlus result) {
			shown.add(result);
		}

		@Override
		public void show(String title, List<String> columns, List<List<Object>> newRows) {
			rows = newRows;
		}

		@Override
		public void show(String title, String text) {
			said = text;
		}

		@Override
		public void log(String line) {
			logged.add(line);
		}

		@Override
		public void update(String message, long current, long maximum, String infoJson) {
			updates.add(message);
		}

		@Override
		public boolean isCanceled() {
			return cancel;
		}

		@Override
		public boolean isFinishRequested() {
			return finish;
		}
	}
}
