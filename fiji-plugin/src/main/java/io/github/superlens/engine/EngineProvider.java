package io.github.superlens.engine;

import java.io.File;

/**
 * Gives the engine to work with: that of the Python which hosts this Java machine, else one worker process, kept warm from call to call.
 * <p>
 * Threads may share it. {@link #get} only looks; the worker starts with its first call.
 */
public final class EngineProvider {

	private static ApposeEngine worker;

	private EngineProvider() {
		// holds one worker
	}

	/**
	 * The engine to work with now.
	 *
	 * @param chosen Python executable or folder of an environment that the user chose; null to look for one
	 * @throws EngineException when there is no Python to work with
	 */
	public static synchronized Engine get(File chosen) throws EngineException {
		final Engine host = EngineRegistry.get();
		if (host != null) return new InProcess(host);
		final PythonEnvironment python = PythonEnvironment.find(chosen);
		if (worker == null || !worker.uses(python)) {
			stop();
			worker = new ApposeEngine(python);
		}
		return worker;
	}

	/** Ends the worker process, if there is one, so that the memory it holds is free. */
	public static synchronized void stop() {
		if (worker != null) worker.close();
		worker = null;
	}
}
