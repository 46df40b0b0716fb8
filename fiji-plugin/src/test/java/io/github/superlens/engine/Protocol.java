package io.github.superlens.engine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The files that the tests of both sides read. */
public final class Protocol {

	private static final Path FOLDER = Paths.get(System.getProperty("protocol"));

	private Protocol() {
		// reads
	}

	/** Names of the messages of a kind, like {@code .response.json}. */
	public static List<String> names(String folder, String ending) {
		try (Stream<Path> files = Files.list(FOLDER.resolve(folder))) {
			return files.map(file -> file.getFileName().toString()).filter(name -> name.endsWith(ending)).sorted().collect(Collectors.toList());
		}
		catch (IOException gone) {
			throw new UncheckedIOException(gone);
		}
	}

	/** The text of a file. */
	public static String text(String name) {
		try {
			return new String(Files.readAllBytes(FOLDER.resolve(name)), StandardCharsets.UTF_8);
		}
		catch (IOException gone) {
			throw new UncheckedIOException(gone);
		}
	}
}
