package io.github.superlens.ui;

import java.awt.EventQueue;
import java.lang.reflect.InvocationTargetException;

/** Runs code on the event dispatch thread and waits for it, from whatever thread. */
final class Swing {

	private Swing() {
		// runs code
	}

	static void now(Runnable code) {
		if (EventQueue.isDispatchThread()) {
			code.run();
			return;
		}
		try {
			EventQueue.invokeAndWait(code);
		}
		catch (InterruptedException stopped) {
			Thread.currentThread().interrupt();
			throw new IllegalStateException("interrupted while a window opened", stopped);
		}
		catch (InvocationTargetException failed) {
			throw new IllegalStateException("a window cannot be shown", failed.getCause());
		}
	}
}
