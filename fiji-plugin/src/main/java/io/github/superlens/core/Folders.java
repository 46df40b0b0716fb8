package io.github.superlens.core;

import java.io.File;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;

import io.github.superlens.engine.EngineException;

/** What users mean by a path, and how a whole folder goes away. */
final class Folders {

	private Folders() {
		// knows the file system
	}

	/** The whole path: from the home folder after a tilde, from the working folder when it is a part. */
	static String absolute(String path) {
		final boolean home = path.equals("~") || path.startsWith("~/");
		return new File(home ? System.getProperty("user.home") + path.substring(1) : path).getAbsolutePath();
	}

	/** Deletes a folder with all that is in it; links are removed and not followed. */
	static void delete(Path folder) throws EngineException {
		if (!Files.exists(folder)) return;
		try {
			Files.walkFileTree(folder, new SimpleFileVisitor<Path>() {

				@Override
				public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
					Files.delete(file);
					return FileVisitResult.CONTINUE;
				}

				@Override
				public FileVisitResult postVisitDirectory(Path emptied, IOException failed) throws IOException {
					if (failed != null) throw failed;
					Files.delete(emptied);
					return FileVisitResult.CONTINUE;
				}
			});
		}
		catch (IOException stuck) {
			throw new EngineException(EngineException.Kind.USER, "The folder " + folder + " cannot be removed: " + stuck.getMessage() + ".", stuck);
		}
	}
}
