package io.github.superlens.scijava;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.util.Arrays;
import java.util.concurrent.ExecutionException;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.scijava.Cancelable;
import org.scijava.Context;
import org.scijava.command.CommandModule;
import org.scijava.command.CommandService;
import org.scijava.module.ModuleItem;

import ij.IJ;
import ij.ImagePlus;
import io.github.superlens.core.CommandSpec;
import io.github.superlens.engine.EngineRegistry;
import io.github.superlens.engine.FakeEngine;
import io.github.superlens.engine.Json;

class TwinCommandTest {

	private final FakeEngine engine = new FakeEngine();
	private final Context context = new Context(CommandService.class);
	private final ImagePlus image = IJ.createImage("cell.tif", "16-bit black", 6, 5, 1);

	@BeforeEach
	void register() {
		EngineRegistry.set(engine);
	}

	@AfterEach
	void clear() {
		EngineRegistry.clear();
		context.dispose();
	}

	@Test
	void enhanceHandsTheResultBack() throws Exception {
		final CommandModule done = run(EnhanceCommand.class, "image", image, "na", 1.3, "wavelength_nm", 525.0, "options", "seed=1 steps=20");
		assertEquals("cell-sr", ((ImagePlus) done.getOutput("result")).getTitle());
		final java.util.Map<String, Object> parameters = Json.object(engine.last("enhance").get("parameters"));
		assertEquals("1.3 525 1 20", parameters.get("na") + " " + parameters.get("wavelength_nm") + " " + parameters.get("seed") + " " + parameters.get("steps"));
	}

	@Test
	void predictTakesAModelFile() throws Exception {
		final CommandModule done = run(PredictCommand.class, "image", image, "model", new File("/data/mt.zip"));
		assertEquals(12, ((ImagePlus) done.getOutput("result")).getWidth());
		assertEquals("/data/mt.zip", Json.object(engine.last("predict").get("parameters")).get("model"));
	}

	@Test
	void aFailureCancelsTheCommandWithItsSentence() throws Exception {
		final CommandModule done = run(EnhanceCommand.class, "image", image, "options", "steps=many");
		assertNull(done.getOutput("result"));
		assertTrue(((Cancelable) done.getDelegateObject()).getCancelReason().contains("steps is many"));
	}

	@ParameterizedTest
	@CsvSource({ "EnhanceCommand,enhance", "TrainCommand,train", "PredictCommand,predict", "PsfCommand,psf" })
	void everyTypedInputIsAParameterOfTheMenusCommand(String twin, String command) {
		final CommandSpec spec = CommandSpec.of(command);
		for (final ModuleItem<?> input : context.service(CommandService.class).getCommand("io.github.superlens.scijava." + twin).inputs()) {
			final boolean own = Arrays.asList("image", "options", "status", "log", "context").contains(input.getName());
			assertTrue(own || spec.param(input.getName()) != null, input.getName());
		}
	}

	private CommandModule run(Class<? extends org.scijava.command.Command> command, Object... inputs) throws InterruptedException, ExecutionException {
		return context.service(CommandService.class).run(command, true, inputs).get();
	}
}
