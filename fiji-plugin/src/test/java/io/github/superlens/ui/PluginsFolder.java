package io.github.superlens.ui;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;

/** ImageJ's plugins folder for tests, with the plugin in it as a jar. */
final class PluginsFolder {

	private PluginsFolder() {
		// fills a folder
	}

	/** Puts the classes under test into the folder that ImageJ will look into. */
	static void fill() throws IOException {
		final Path classes = Paths.get(System.getProperty("classes"));
		final Path file = Paths.get(System.getProperty("plugins.dir"), "plugins", "superlens_-test.jar");
		Files.createDirectories(file.getParent());
		try (OutputStream out = Files.newOutputStream(file); JarOutputStream jar = new JarOutputStream(out)) {
			add(classes, jar);
		}
	}

	private static void add(Path classes, JarOutputStream jar) throws IOException {
		try (Stream<Path> parts = Files.walk(classes)) {
			for (final Path part : parts.filter(Files::isRegularFile).collect(Collectors.toList())) {
				jar.putNextEntry(new ZipEntry(classes.relativize(part).toString().replace(File.separatorChar, '/')));
				Files.copy(part, jar);
				jar.closeEntry();
			}
		}
	}
}
