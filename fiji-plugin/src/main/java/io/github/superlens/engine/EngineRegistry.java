package io.github.superlens.engine;

/**
 * Where Python puts its engine when it has started this Java machine; empty otherwise.
 * <p>
 * Python calls {@link #set} once, from whatever thread, before a command is run.
 */
public final class EngineRegistry {

	private static volatile Engine engine;

	private EngineRegistry() {
		// holds one value
	}

	/** Puts an engine in place of the one there was. */
	public static void set(Engine newEngine) {
		engine = newEngine;
	}

	/** The engine of this process, or null when Python did not start it. */
	public static Engine get() {
		return engine;
	}

	/** Forgets the engine. */
	public static void clear() {
		engine = null;
	}
}
