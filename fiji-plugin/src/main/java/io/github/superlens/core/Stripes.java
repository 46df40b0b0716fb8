package io.github.superlens.core;

import io.github.superlens.engine.EngineException;

/** Takes stripes, and a sensor's own offsets and gains, off the open image. */
public final class Stripes implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		new Job(values, host).withCurrentImage().run();
	}
}
