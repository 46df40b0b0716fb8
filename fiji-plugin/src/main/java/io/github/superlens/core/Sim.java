package io.github.superlens.core;

import io.github.superlens.engine.EngineException;

/** Reconstructs the open raw frames of structured illumination. */
public final class Sim implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		new Job(values, host).withCurrentImage().run();
	}
}
