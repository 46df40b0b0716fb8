package io.github.superlens.core;

import java.io.File;
import java.util.ArrayList;
import java.util.List;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import io.github.superlens.engine.EngineException;

/** Images by what macros call them: title, ID, or the path of a file. */
public final class OpenImages {

	private OpenImages() {
		// looks them up
	}

	/**
	 * Finds an image.
	 *
	 * @param name title or ID of an open image, or path of an image file; empty for the current one
	 * @throws EngineException when there is none of that name
	 */
	public static ImagePlus find(String name, Host host) throws EngineException {
		if (name.isEmpty()) return host.image();
		final ImagePlus current = host.image();
		if (current != null && name.equals(current.getTitle())) return current;
		final ImagePlus open = name.matches("-\\d+") ? WindowManager.getImage(Integer.parseInt(name)) : WindowManager.getImage(name);
		if (open != null) return open;
		final ImagePlus read = new File(name).isFile() ? IJ.openImage(name) : null;
		if (read != null) return read;
		throw EngineException.user("There is no image \"" + name + "\"; expected the title of an open one (" + String.join(", ", titles()) +
			") or the path of an image file.");
	}

	/** Titles of the open images, the current one first. */
	public static List<String> titles() {
		final List<String> titles = new ArrayList<>();
		final ImagePlus current = WindowManager.getCurrentImage();
		if (current != null) titles.add(current.getTitle());
		for (final String title : WindowManager.getImageTitles()) if (!titles.contains(title)) titles.add(title);
		return titles;
	}
}
