package io.github.superlens.core;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

import ij.IJ;
import ij.ImagePlus;
import ij.io.FileSaver;
import ij.plugin.Duplicator;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.EngineException.Kind;
import io.github.superlens.engine.Json;
import io.github.superlens.image.Look;
import io.github.superlens.image.ResultFactory;
import io.github.superlens.image.Selection;

/**
 * The way for images that do not fit into one block of memory: through files in a folder of their own, which is removed when this is closed
 * unless a result is still read from it.
 */
final class LargeImages implements AutoCloseable {

	private final Path folder;
	private boolean inUse;

	LargeImages() throws EngineException {
		try {
			folder = Files.createTempDirectory("superlens-");
			Files.createDirectory(output());
		}
		catch (IOException full) {
			throw failed(full.getMessage(), full);
		}
	}

	/** Writes part of an image and gives the file. */
	Path write(ImagePlus imp, Selection part) throws EngineException {
		final Path file = folder.resolve("input.tif");
		final ImagePlus written = part.isAll(imp) ? imp : part.duplicate(imp, new Duplicator());
		final FileSaver saver = new FileSaver(written);
		final boolean done = written.getStackSize() > 1 ? saver.saveAsTiffStack(file.toString()) : saver.saveAsTiff(file.toString());
		if (!done) throw failed("the image cannot be written to " + file, null);
		return file;
	}

	/** Where the engine writes its results. */
	Path output() {
		return folder.resolve("output");
	}

	/** Opens a result that the engine wrote; one that would fill half of the memory is read from the disk as it is looked at. */
	ImagePlus open(Map<String, Object> output, Look look, String info) throws EngineException {
		final String path = Json.text(output, "path", "");
		final boolean virtual = Json.number(output, "bytes", 0) > Runtime.getRuntime().maxMemory() / 2.0;
		final ImagePlus image = virtual ? IJ.openVirtual(path) : IJ.openImage(path);
		if (image == null) throw failed("the result " + path + " cannot be opened", null);
		inUse |= virtual;
		return ResultFactory.dress(image, output, look, info);
	}

	@Override
	public void close() throws EngineException {
		if (!inUse) Folders.delete(folder);
	}

	private static EngineException failed(String why, IOException cause) {
		return new EngineException(Kind.USER, "The image is too large for one block of memory, and the way through a file failed: " + why +
			". Free some space on the disk, or work on a crop.", cause);
	}
}
