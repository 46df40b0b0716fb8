package io.github.superlens;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;

/** Who may know whom, read from the classes: ui and scijava know core, core knows image, image knows engine, and never the other way. */
class LayersTest {

	private static final Path CLASSES = Paths.get(System.getProperty("classes"));
	private static final List<String> FLOORS = Arrays.asList("engine", "image", "core", "ui");

	@Test
	void nobodyKnowsAHigherFloor() throws IOException {
		for (int low = 0; low < FLOORS.size(); low++) {
			for (int high = low + 1; high < FLOORS.size(); high++) assertEquals("[]", knowing(FLOORS.get(low), "io/github/superlens/" + FLOORS.get(high) + "/").toString());
		}
		assertEquals("[]", knowing("scijava", "io/github/superlens/ui/").toString());
	}

	@Test
	void theEngineDoorKnowsNoImageJ() throws IOException {
		assertEquals("[]", knowing("engine", "ij/").stream().filter(name -> !name.isEmpty()).collect(Collectors.toList()).toString());
	}

	@Test
	void onlyTheTwinsKnowSciJava() throws IOException {
		for (final String floor : FLOORS) assertEquals("[]", knowing(floor, "org/scijava/").toString());
	}

	@Test
	void theWorkersBridgeIsKnownToOneClass() throws IOException {
		for (final String floor : Arrays.asList("engine", "image", "core", "ui", "scijava")) {
			assertTrue(knowing(floor, "org/apposed/").stream().allMatch(name -> name.startsWith("ApposeEngine")), floor);
		}
	}

	@Test
	void classesRunOnJavaEight() throws IOException {
		try (Stream<Path> files = Files.walk(CLASSES)) {
			for (final Path file : files.filter(path -> path.toString().endsWith(".class")).collect(Collectors.toList())) {
				final byte[] bytes = Files.readAllBytes(file);
				assertEquals(52, bytes[7], file.toString());
			}
		}
	}

	@Test
	void theTwinsAreInSciJavasIndexAndNotInItsMenu() throws IOException {
		final String index = new String(Files.readAllBytes(CLASSES.resolve("META-INF/json/org.scijava.plugin.Plugin")), StandardCharsets.UTF_8);
		assertTrue(index.contains("EnhanceCommand") && index.contains("PredictCommand"), index);
		assertTrue(!index.contains("menuPath"), index);
	}

	private static List<String> knowing(String floor, String name) throws IOException {
		try (Stream<Path> files = Files.walk(CLASSES.resolve("io/github/superlens/" + floor))) {
			return files.filter(path -> path.toString().endsWith(".class") && mentions(path, name)).map(path -> path.getFileName().toString()).collect(Collectors.toList());
		}
	}

	/** Whether a class file holds the name of a package, as a class name or in a signature. */
	private static boolean mentions(Path file, String name) {
		try {
			final String content = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
			return java.util.regex.Pattern.compile("(^|[^a-zA-Z/])L?" + name).matcher(content).find();
		}
		catch (IOException gone) {
			throw new java.io.UncheckedIOException(gone);
		}
	}
}
