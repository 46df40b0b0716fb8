package io.github.superlens.core;

import java.util.Collections;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Reply;

/** Lists the models that come with the engine. */
public final class Models implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		final Reply reply = Job.ask("models", Collections.emptyMap(), host);
		reply.messages().forEach(host::log);
		host.show("Superlens models", reply.columns(), reply.rows());
	}
}
