package io.github.superlens.core;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Reply;

/** Makes a movie of blinking molecules, and the table of where they truly are. */
public final class Simulate implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		final Reply reply = new Job(values, host).run();
		if (!reply.columns().isEmpty()) host.show("Superlens true positions", reply.columns(), reply.rows());
	}
}
