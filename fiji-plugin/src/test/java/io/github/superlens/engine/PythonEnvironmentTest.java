package io.github.superlens.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PythonEnvironmentTest {

	@TempDir
	Path folder;

	@Test
	void theFolderOfAnEnvironmentLeadsToItsExecutable() throws Exception {
		final File python = script("bin/python", "");
		assertEquals(python, PythonEnvironment.find(folder.toFile()).executable());
	}

	@Test
	void aPathThatIsNoPythonIsRefusedByName() {
		final File nothing = folder.resolve("nothing").toFile();
		final EngineException refused = assertThrows(EngineException.class, () -> PythonEnvironment.find(nothing));
		assertEquals(EngineException.Kind.UNAVAILABLE, refused.kind());
		assertTrue(refused.getMessage().contains(nothing.getPath()));
	}

	@Test
	void aPythonWithoutSuperlensIsToldHowToGetIt() throws Exception {
		assertTrue(refusal("'{\"python\": \"3.12.1\", \"superlens\": null, \"appose\": null, \"tensorflow\": null}'").contains("pip install"));
	}

	@Test
	void anEngineOfAnotherVersionIsRefusedWithBothVersions() throws Exception {
		final String sentence = refusal("'{\"python\": \"3.12.1\", \"superlens\": \"7.3.0\", \"appose\": \"0.12.0\", \"tensorflow\": \"2.21.0\"}'");
		assertTrue(sentence.contains("7.3.0") && sentence.contains(Version.OF_PLUGIN), sentence);
	}

	@Test
	void aProgramThatIsNoPythonIsRefused() throws Exception {
		assertTrue(refusal("hello").contains("does not work as Python"));
	}

	@Test
	void versionsFitWhenTheirFirstTwoNumbersAreTheSame() {
		final String series = Version.OF_PLUGIN.replaceFirst("\\.\\d+$", "");
		assertTrue(Version.fits(Version.OF_PLUGIN) && Version.fits(series + ".99") && Version.fits(series + ".1.dev3"));
		assertFalse(Version.fits("99.0.0"));
	}

	private String refusal(String said) throws Exception {
		final PythonEnvironment python = PythonEnvironment.find(script("python", "echo " + said));
		return assertThrows(EngineException.class, python::check).getMessage();
	}

	private File script(String name, String body) throws IOException {
		assumeFalse(File.separatorChar == '\\', "the stand-ins are shell scripts");
		final Path file = folder.resolve(name);
		Files.createDirectories(file.getParent());
		Files.write(file, ("#!/bin/sh\n" + body + "\n").getBytes());
		assertTrue(file.toFile().setExecutable(true));
		return file.toFile();
	}
}
