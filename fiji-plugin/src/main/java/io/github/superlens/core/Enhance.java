package io.github.superlens.core;

import io.github.superlens.engine.EngineException;

/** Learns from the open image and shows it super-resolved. */
public final class Enhance implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		new Job(values, host).withCurrentImage().run();
	}
}
