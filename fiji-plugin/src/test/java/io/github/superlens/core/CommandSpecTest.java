package io.github.superlens.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Collectors;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import io.github.superlens.engine.EngineException;

class CommandSpecTest {

	static List<CommandSpec> specs() {
		return Commands.byName().keySet().stream().map(CommandSpec::of).filter(spec -> !spec.help().isEmpty()).collect(Collectors.toList());
	}

	@Test
	void theListHasTheCommandsOfTheMenu() {
		final List<String> names = specs().stream().map(CommandSpec::name).collect(Collectors.toList());
		for (final String name : new String[] { "enhance", "train", "predict", "localize", "sim", "simulate", "psf", "stripes", "compare", "models", "setup", "help" }) assertTrue(names.contains(name), name + " of " + names);
	}

	@ParameterizedTest
	@MethodSource("specs")
	void imageJCannotTakeOneParameterForAnother(CommandSpec spec) {
		for (final ParamSpec one : spec.params()) {
			assertTrue(one.key().matches("[a-z][a-z0-9_]*"), one.key());
			for (final ParamSpec other : spec.params()) {
				assertFalse(other != one && other.key().matches(".*[^a-z]" + one.key()), other.key() + " ends with " + one.key());
			}
		}
	}

	@ParameterizedTest
	@MethodSource("specs")
	void everyParameterCanBeAskedFor(CommandSpec spec) throws EngineException {
		for (final ParamSpec param : spec.params()) {
			assertFalse(param.label().isEmpty(), param.key());
			assertEquals(param.type() == ParamSpec.Type.CHOICE, !param.choices().isEmpty(), param.key());
			if (!param.standard().isEmpty()) param.read(param.standard());
		}
	}

	@ParameterizedTest
	@CsvSource({ "na,1.4,1.4", "na,'1,4',1.4", "scale,2,2", "preset,fast,fast", "denoise_only,true,true", "wavelength_nm,525,525.0", "wavelength_nm,525  610.50,525 610.5" })
	void valuesGetTheirType(String key, String text, String value) throws EngineException {
		assertEquals(value, CommandSpec.of("enhance").param(key).read(text).toString());
	}

	@ParameterizedTest
	@CsvSource({ "na,high", "na,NaN", "scale,1.5", "scale,3", "preset,quick", "denoise_only,yes", "threads,0" })
	void valuesThatCannotBeAreRefusedByKeyAndValue(String key, String text) {
		final String sentence = assertThrows(EngineException.class, () -> CommandSpec.of("enhance").param(key).read(text)).getMessage();
		assertTrue(sentence.startsWith(key + " is " + text + "; expected"), sentence);
	}

	@Test
	void oneOfSeveralNumbersThatCannotBeIsRefused() {
		final ParamSpec wavelengths = CommandSpec.of("enhance").param("wavelength_nm");
		assertTrue(assertThrows(EngineException.class, () -> wavelengths.read("525 red")).getMessage().startsWith("wavelength_nm is red; expected"));
	}

	@Test
	void severalNumbersComeBackFromTheRecordedLine() throws EngineException {
		final Values values = Values.read(CommandSpec.of("enhance"), MacroOptions.parse("na=1.3 wavelength_nm=[525 610]"));
		assertEquals("na=1.3 wavelength_nm=[525 610]", values.options().format());
		assertEquals("525 610", values.forEngine().get("wavelength_nm"));
	}

	@Test
	void unknownAndMissingParametersAreRefused() {
		final CommandSpec predict = CommandSpec.of("predict");
		assertTrue(assertThrows(EngineException.class, () -> Values.read(predict, MacroOptions.parse("modle=[x.zip]"))).getMessage().startsWith("modle is not"));
		assertTrue(assertThrows(EngineException.class, () -> Values.read(predict, MacroOptions.parse(""))).getMessage().startsWith("model is missing"));
	}

	@Test
	void recordedOptionsGiveTheSameValuesAndLeaveOutWhatIsStandard() throws EngineException {
		final CommandSpec spec = CommandSpec.of("enhance");
		final Values values = Values.read(spec, MacroOptions.parse("na=[1.30] wavelength_nm=525 preset=fast denoise_only=false steps=20 save_model=[/data/my model.zip]"));
		final String recorded = values.options().format();
		assertEquals("na=1.3 wavelength_nm=525 steps=20 save_model=[/data/my model.zip]", recorded);
		assertEquals(values.forEngine().get("na"), Values.read(spec, MacroOptions.parse(recorded)).forEngine().get("na"));
	}

	@Test
	void theEngineGetsWholePathsAndNothingThatIsNotForIt() throws EngineException {
		final Values values = Values.read(CommandSpec.of("predict"), MacroOptions.parse("model=mt.zip show_denoised slices=1"));
		assertEquals("[model]", values.forEngine().keySet().toString());
		assertTrue(new java.io.File(values.forEngine().get("model").toString()).isAbsolute());
	}
}
