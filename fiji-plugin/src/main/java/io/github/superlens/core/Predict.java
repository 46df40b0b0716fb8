package io.github.superlens.core;

import io.github.superlens.engine.EngineException;

/** Applies a trained model to the open image. */
public final class Predict implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		new Job(values, host).withCurrentImage().run();
	}
}
