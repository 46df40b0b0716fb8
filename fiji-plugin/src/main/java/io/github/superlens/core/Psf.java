package io.github.superlens.core;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Reply;

/** Shows the point spread function of the optics, or that of beads in the open image, and says how wide it is. */
public final class Psf implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		final Job job = new Job(values, host);
		if (values.flag("measure")) job.withCurrentImage();
		final Reply reply = job.run();
		host.show("Superlens PSF", reply.columns(), reply.rows());
	}
}
