import type { CopytoolFigures } from '../../copytool/figures.ts';
import { copytoolSocket } from '../../copytool/socket.ts';
import type { FollowFigures } from '../../follow/figures.ts';
import { followSocket } from '../../follow/service/socket.ts';
import { askService } from '../../service/control/client.ts';
import type { DoctorContext } from '../context.ts';
import { type Check, type Finding, ok, warning } from '../types.ts';

export const serviceChecks: readonly Check<DoctorContext>[] = [
  { id: 'services.copytool', run: (context) => asked(context, 'copytool', copytoolSocket(context.config.mount)) },
  { id: 'services.follower', run: (context) => asked(context, 'changelog-follow', followSocket(context.config.mount)) },
];

async function asked({ config }: DoctorContext, service: string, name: string): Promise<Finding> {
  const target = { directory: config.runDir, name, service, start: `lfsazsync ${service}` };
  try {
    const { process } = (await askService(target, 'status', {}, { timeout: 5_000 })) as CopytoolFigures | FollowFigures;
    return ok(`running, version ${process.version}`);
  } catch (error) {
    const { message } = error as Error;
    const unit = service === 'copytool' ? 'lfsazsync-copytool' : 'lfsazsync-follow';
    return warning(
      message,
      `systemctl start ${unit} (or run lfsazsync ${service}); on another machine it can’t be seen from here.`,
    );
  }
}
