package io.github.superlens.ui;

import static org.junit.jupiter.api.Assertions.fail;

import java.awt.AWTException;
import java.awt.Component;
import java.awt.Container;
import java.awt.Dialog;
import java.awt.Rectangle;
import java.awt.Robot;
import java.awt.Window;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.Supplier;

import javax.imageio.ImageIO;
import javax.swing.AbstractButton;
import javax.swing.JTextField;
import javax.swing.SwingUtilities;

import ij.ImagePlus;
import ij.WindowManager;
import ij.gui.GenericDialog;

/** Eyes and hands for tests that run ImageJ on a screen: finds windows and what is in them, presses buttons, and takes pictures. */
final class Screen {

	private static final long PATIENCE_MS = 300_000;
	private static final File PICTURES = new File(System.getProperty("pictures", "target/pictures"));

	private Screen() {
		// looks and presses
	}

	/** Waits until something is there. */
	static <T> T await(String what, Supplier<T> search) {
		final long end = System.currentTimeMillis() + PATIENCE_MS;
		while (System.currentTimeMillis() < end) {
			final T found = search.get();
			if (found != null && !Boolean.FALSE.equals(found)) return found;
			pause(30);
		}
		return fail(what + " did not appear; there are " + titles());
	}

	/** A visible window whose title begins like this; null when there is none. */
	static Window window(String title) {
		for (final Window window : Window.getWindows()) if (window.isShowing() && titleOf(window).startsWith(title)) return window;
		return null;
	}

	/** A visible dialog of this title; null when there is none. */
	static Window dialog(String title) {
		for (final Window window : Window.getWindows()) if (window.isShowing() && window instanceof Dialog && titleOf(window).equals(title)) return window;
		return null;
	}

	/** A message of ImageJ's kind that is open; null when there is none. */
	static Window message() {
		for (final Window window : Window.getWindows()) if (window.isShowing() && window instanceof GenericDialog) return window;
		return null;
	}

	/** Everything inside a window of some type that fits. */
	static <T extends Component> T find(Container in, Class<T> type, Predicate<T> fits) {
		for (final Component inside : in.getComponents()) {
			if (type.isInstance(inside) && fits.test(type.cast(inside))) return type.cast(inside);
			final T deeper = inside instanceof Container ? find((Container) inside, type, fits) : null;
			if (deeper != null) return deeper;
		}
		return null;
	}

	/** Presses a button of a window by its text. */
	static void press(Window window, String text) {
		final AbstractButton button = await("the button " + text, () -> find(window, AbstractButton.class, candidate -> text.equals(candidate.getText()) ||
			candidate.getText() != null && candidate.getText().startsWith(text + " ")));
		SwingUtilities.invokeLater(button::doClick);
	}

	/** Types into the field whose tip begins like this. */
	static void type(Window dialog, String tip, String text) throws InterruptedException, InvocationTargetException {
		final JTextField field = await("the field: " + tip, () -> find(dialog, JTextField.class, candidate -> String.valueOf(candidate.getToolTipText()).startsWith(tip)));
		SwingUtilities.invokeAndWait(() -> field.setText(text));
	}

	/** Takes a picture of a window once it has been drawn. */
	static void picture(Window window, String name) throws AWTException, IOException {
		SwingUtilities.invokeLater(window::toFront);
		pause(800);
		picture(window.getBounds(), name);
	}

	/** Takes a picture of a part of the screen. */
	static void picture(Rectangle bounds, String name) throws AWTException, IOException {
		if (!PICTURES.isDirectory() && !PICTURES.mkdirs()) throw new IOException("no folder " + PICTURES);
		ImageIO.write(new Robot().createScreenCapture(bounds), "png", new File(PICTURES, name + ".png"));
	}

	/** Closes every dialog that is open. */
	static void closeDialogs() {
		for (final Window window : Window.getWindows()) if (window instanceof Dialog && window.isShowing()) SwingUtilities.invokeLater(window::dispose);
	}

	/** Makes an image the current one and closes all others: a window that the screen activates late would become current in the middle of a command. */
	static void onlyOpen(ImagePlus image) {
		for (final int id : WindowManager.getIDList()) {
			final ImagePlus other = WindowManager.getImage(id);
			if (other == image) continue;
			other.changes = false;
			other.close();
		}
		WindowManager.setCurrentWindow(image.getWindow());
	}

	static void pause(long milliseconds) {
		try {
			Thread.sleep(milliseconds);
		}
		catch (InterruptedException stopped) {
			throw new IllegalStateException(stopped);
		}
	}

	private static String titleOf(Window window) {
		if (window instanceof Dialog) return ((Dialog) window).getTitle();
		return window instanceof java.awt.Frame ? ((java.awt.Frame) window).getTitle() : "";
	}

	private static List<String> titles() {
		final List<String> titles = new ArrayList<>();
		for (final Window window : Window.getWindows()) if (window.isShowing()) titles.add(titleOf(window));
		return titles;
	}
}
